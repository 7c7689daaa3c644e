// The clients of a fleet: sidecars (their core only), or naive clients, which retry every second and renew at exactly two
// thirds of the lease.

import type { Failure } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import type { Effect, ExchangeEvent, Policy, State } from '../../src/core/state.ts';
import { servedToken } from '../../src/core/status.ts';
import { initialState, step } from '../../src/core/step.ts';
import type { Grant } from '../../src/core/vault-protocol.ts';
import { jwtText } from '../support/jwt-text.ts';
import { T0 } from '../support/simulated-time.ts';
import { settingsOf } from '../support/world.ts';
import type { Kind } from './fleet.ts';
import { DAY, HOUR, SECOND } from './plan.ts';

const LEASE_MS = HOUR;

/** A sidecar: its core, with a watched JWT and no sinks. */
export const sidecar: Kind = (fleet, index) => {
  const base = settingsOf();
  const policy: Policy = {
    settings: {
      ...base,
      source: { kind: 'file', path: '/jwt/token', pollIntervalMs: HOUR },
      checkIntervalMs: fleet.scenario.checkIntervalMs ?? 0,
    },
    sinks: [],
  };
  const secret = new Secret(`hvs.fleet-${String(index).padStart(8, '0')}`);
  let jwt = new Secret(jwtText({ iat: T0 / 1000, exp: (T0 + 7 * DAY) / 1000 }));
  const moment = () => ({ now: fleet.now, wall: fleet.now, random: fleet.random() });
  const { startJitterMs } = fleet.scenario;
  let issuedAt = 0;
  /** the refusal of a token that Vault has forgotten; undefined while it knows the token */
  const forgotten = (code: Failure['code']): Failure | undefined =>
    fleet.hasForgotten(issuedAt) ? { code } : undefined;
  const startsAt = startJitterMs === undefined ? undefined : fleet.now + fleet.random() * startJitterMs;
  let state: State = initialState(policy, moment(), { startsAt });
  let cancel = () => {};

  function post(event: ExchangeEvent): void {
    const decision = step(policy, state, event, moment());
    state = decision.state;
    cancel();
    cancel = fleet.at(decision.wakeAt, () => post({ type: 'woke' }));
    for (const effect of decision.effects) perform(effect);
  }

  function perform(effect: Effect): void {
    if (effect.type === 'read-jwt') {
      const secret = jwt;
      const { attempt } = effect;
      fleet.at(fleet.now + 1, () => post({ type: 'jwt-read', attempt, secret, watched: true }));
    } else if (effect.type === 'log-in') {
      const { attempt } = effect;
      fleet.ask('login', (failure) => {
        if (failure === undefined) issuedAt = fleet.now;
        post(
          failure ? { type: 'login-failed', attempt, failure } : { type: 'logged-in', attempt, grant: granted(secret) },
        );
      });
    } else if (effect.type === 'renew') {
      const { attempt } = effect;
      fleet.ask('renew', (answer) => {
        const failure = answer ?? forgotten('renewal_denied');
        post(
          failure ? { type: 'renewal-failed', attempt, failure } : { type: 'renewed', attempt, grant: granted(secret) },
        );
      });
    } else if (effect.type === 'look-up') {
      const { attempt } = effect;
      fleet.ask('lookup', (answer) => {
        const failure = answer ?? forgotten('token_rejected');
        if (failure !== undefined) return post({ type: 'lookup-failed', attempt, failure });
        const leftMs = (state.token?.expiresAt ?? fleet.now) - fleet.now;
        const life = { grant: granted(secret), leftMs, issuedWall: issuedAt, path: '', role: '', displayName: '' };
        return post({ type: 'looked-up', attempt, life });
      });
    }
  }

  return {
    begin: () => post({ type: 'woke' }),
    newJwt() {
      jwt = new Secret(jwtText({ iat: fleet.now / 1000, exp: (fleet.now + 7 * DAY) / 1000 }));
      post({ type: 'jwt-hinted' });
    },
    denied: () => post({ type: 'token-suspected', generation: state.token?.generation ?? 0 }),
    hasToken: () => servedToken(state, fleet.now) !== undefined && !fleet.hasForgotten(issuedAt),
  };
};

/**
 * A client like a shell loop: retries every second, renews at two thirds of the lease, logs in with each new JWT, and at
 * once if Vault no longer knows its token.
 */
export const naive: Kind = (fleet) => {
  let expiresAt = Number.NEGATIVE_INFINITY;
  let issuedAt = 0;
  let isLoginDue = true;
  let isWaiting = false;
  let cancel = () => {};

  function ask(): void {
    cancel();
    const [from, to] = fleet.scenario.outage ?? [0, 0];
    if (fleet.now >= T0 + from && fleet.now < T0 + to) {
      fleet.countEverySecond(T0 + to);
      const seconds = Math.ceil((T0 + to - fleet.now) / SECOND);
      cancel = fleet.at(fleet.now + seconds * SECOND, ask);
      return;
    }
    const askedAt = fleet.now;
    const operation = isLoginDue || fleet.now >= expiresAt ? 'login' : 'renew';
    isWaiting = true;
    fleet.ask(operation, (failure) => {
      isWaiting = false;
      const isForgotten = operation === 'renew' && fleet.hasForgotten(issuedAt);
      if (isForgotten) isLoginDue = true;
      const isGranted = failure === undefined && !isForgotten;
      if (isGranted) expiresAt = askedAt + LEASE_MS;
      if (isGranted && operation === 'login') [isLoginDue, issuedAt] = [false, fleet.now];
      cancel();
      cancel = fleet.at(isGranted ? askedAt + (2 / 3) * LEASE_MS : fleet.now + SECOND, ask);
    });
  }

  function check(): void {
    const { checkIntervalMs } = fleet.scenario;
    if (checkIntervalMs === undefined) return;
    fleet.at(fleet.now + checkIntervalMs, () => {
      fleet.ask('lookup', (failure) => {
        if (failure === undefined && fleet.hasForgotten(issuedAt)) logIn();
      });
      check();
    });
  }

  function logIn(): void {
    if (isWaiting) return;
    isLoginDue = true;
    ask();
  }

  return {
    begin() {
      ask();
      check();
    },
    newJwt() {
      isLoginDue = true;
      ask();
    },
    denied: logIn,
    hasToken: () => fleet.now < expiresAt && !fleet.hasForgotten(issuedAt),
  };
};

const granted = (secret: Secret): Grant => ({
  secret,
  accessor: '',
  leaseMs: LEASE_MS,
  renewable: true,
  type: 'service',
  numUses: 0,
  policies: ['default'],
  warnings: [],
});
