// A fleet of clients of one Vault: a thousand sidecars (their core only), or as many naive clients, which retry every
// second and renew at exactly two thirds of the lease. Vault serves a limited number of requests a second, queues
// further ones, and answers 503 if the queue is too long. The requests that arrive are counted for each second.

import type { Failure } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import type { Effect, ExchangeEvent, Policy, State } from '../../src/core/state.ts';
import { servedToken } from '../../src/core/status.ts';
import { initialState, step } from '../../src/core/step.ts';
import type { Grant } from '../../src/core/vault-protocol.ts';
import { jwtText } from '../support/jwt-text.ts';
import { seededRandom } from '../support/random.ts';
import { Agenda, T0 } from '../support/simulated-time.ts';
import { settingsOf } from '../support/world.ts';
import { DAY, HOUR, SECOND } from './plan.ts';

type Asked = 'login' | 'renew' | 'lookup';

export interface Scenario {
  readonly name: string;
  readonly clients: number;
  readonly ms: number;
  /** the clients start evenly over this time */
  readonly startOverMs: number;
  /** the failure of a call at a time since the start, if any */
  readonly trouble?: (operation: Asked, ms: number) => Failure | undefined;
  /** a span in which every call fails with `trouble`; the retries of naive clients in it are counted, not simulated */
  readonly outage?: readonly [fromMs: number, toMs: number];
  /** the sidecars delay their first login by a random time up to this */
  readonly startJitterMs?: number;
  /** requests a second beyond which Vault answers 429 */
  readonly quota?: number;
  /** Vault answers 503 if a request would wait longer; 10 s by default */
  readonly longestQueueMs?: number;
  /** how often a sidecar asks whether its token is still known */
  readonly checkIntervalMs?: number;
  /** when Vault forgets all tokens */
  readonly forgetsAtMs?: number;
  /** the share of calls that are lost at random */
  readonly lossShare?: (ms: number) => number;
  /** each client gets a new JWT, evenly over this span */
  readonly newJwts?: readonly [fromMs: number, toMs: number];
}

export interface Load {
  /** requests that arrived, by the second since the start */
  readonly arrivals: Uint32Array;
  /** requests that never arrived */
  readonly lost: number;
  /** requests that Vault answered with 429 or 503, besides those in `trouble` */
  readonly refused: number;
  /** the sum of all seconds in which a client had no valid token after its first one */
  readonly gapSeconds: number;
  /** when the last client got its first token */
  readonly allServedMs: number;
}

const CAPACITY_PER_SECOND = 100;
const LONGEST_QUEUE_MS = 10 * SECOND;
const TIMEOUT_MS = 15 * SECOND;
const LEASE_MS = HOUR;
const WAY_MS = 20;

interface Client {
  begin(): void;
  newJwt(): void;
  hasToken(): boolean;
}

type Kind = (fleet: Fleet, index: number) => Client;

export class Fleet {
  #lost = 0;
  #refused = 0;
  readonly scenario: Scenario;
  readonly arrivals: Uint32Array;
  readonly random: () => number;
  now = T0;
  readonly #agenda = new Agenda();
  #busyUntil = T0;
  #quota = { second: 0, served: 0 };

  constructor(scenario: Scenario, seed: number) {
    this.scenario = scenario;
    this.random = seededRandom(seed);
    this.arrivals = new Uint32Array(Math.ceil(scenario.ms / SECOND) + 1);
  }

  run(kind: Kind): Load {
    const { clients, ms, startOverMs, newJwts } = this.scenario;
    const fleet = Array.from({ length: clients }, (_, index) => kind(this, index));
    for (const [index, client] of fleet.entries()) {
      this.at(T0 + (startOverMs * index) / clients, () => client.begin());
      if (newJwts === undefined) continue;
      const [from, to] = newJwts;
      this.at(T0 + from + ((to - from) * index) / clients, () => client.newJwt());
    }
    const served = new Set<Client>();
    let [gapSeconds, allServedMs] = [0, Number.POSITIVE_INFINITY];
    const look = () => {
      for (const client of fleet) {
        if (client.hasToken()) served.add(client);
        else if (served.has(client)) gapSeconds += 1;
      }
      if (served.size === clients) allServedMs = Math.min(allServedMs, this.now - T0);
      this.at(this.now + SECOND, look);
    };
    look();
    for (let next = this.#agenda.first(); next !== undefined && next.at <= T0 + ms; next = this.#agenda.first()) {
      this.now = next.at;
      this.#agenda.take()?.();
    }
    return { arrivals: this.arrivals, lost: this.#lost, refused: this.#refused, gapSeconds, allServedMs };
  }

  at(at: number, happen: () => void): () => void {
    return this.#agenda.add(at, happen);
  }

  /** Sends a request; `settle` gets its failure, or undefined if it was granted. */
  ask(operation: Asked, settle: (failure: Failure | undefined) => void): void {
    const { lossShare } = this.scenario;
    const isLost = lossShare !== undefined && this.random() < lossShare(this.now - T0);
    if (isLost) this.#lost += 1;
    if (isLost) this.at(this.now + TIMEOUT_MS, () => settle({ code: 'vault_timeout' }));
    else
      this.at(this.now + WAY_MS, () => {
        this.#count(this.now);
        const { failure, waitMs } = this.#answer(operation);
        this.at(this.now + WAY_MS + waitMs, () => settle(failure));
      });
  }

  /** Counts the requests of a client that retries every second until an outage is over. */
  countEverySecond(until: number): void {
    for (let at = this.now; at < until; at += SECOND) this.#count(at);
  }

  #count(at: number): void {
    const second = Math.floor((at - T0) / SECOND);
    if (second < this.arrivals.length) this.arrivals[second] = (this.arrivals[second] ?? 0) + 1;
  }

  #answer(operation: Asked): { failure: Failure | undefined; waitMs: number } {
    const { trouble, quota, longestQueueMs = LONGEST_QUEUE_MS } = this.scenario;
    const failure = trouble?.(operation, this.now - T0);
    if (failure !== undefined) return { failure, waitMs: 0 };
    if (quota !== undefined && this.#isOverQuota(quota)) {
      this.#refused += 1;
      return { failure: { code: 'vault_rate_limited', retryAfterMs: SECOND }, waitMs: 0 };
    }
    const waitMs = Math.max(0, this.#busyUntil - this.now);
    if (waitMs > longestQueueMs) {
      this.#refused += 1;
      return { failure: { code: 'vault_unavailable' }, waitMs: 0 };
    }
    this.#busyUntil = this.now + waitMs + SECOND / CAPACITY_PER_SECOND;
    return { failure: undefined, waitMs };
  }

  #isOverQuota(quota: number): boolean {
    const second = Math.floor(this.now / SECOND);
    if (this.#quota.second !== second) this.#quota = { second, served: 0 };
    this.#quota.served += 1;
    return this.#quota.served > quota;
  }
}

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
  const { startJitterMs, forgetsAtMs = Number.POSITIVE_INFINITY } = fleet.scenario;
  let issuedAt = 0;
  /** the refusal of a token that Vault has forgotten; undefined while it knows the token */
  const forgotten = (code: Failure['code']): Failure | undefined =>
    fleet.now >= T0 + forgetsAtMs && issuedAt < T0 + forgetsAtMs ? { code } : undefined;
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
    hasToken: () => servedToken(state, fleet.now) !== undefined,
  };
};

/** A client like a shell loop: retries every second, renews at two thirds of the lease, logs in with each new JWT. */
export const naive: Kind = (fleet) => {
  let expiresAt = Number.NEGATIVE_INFINITY;
  let isLoginDue = true;
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
    fleet.ask(operation, (failure) => {
      if (failure === undefined) {
        expiresAt = askedAt + LEASE_MS;
        if (operation === 'login') isLoginDue = false;
      }
      cancel();
      cancel = fleet.at(failure === undefined ? askedAt + (2 / 3) * LEASE_MS : fleet.now + SECOND, ask);
    });
  }

  return {
    begin: ask,
    newJwt() {
      isLoginDue = true;
      ask();
    },
    hasToken: () => fleet.now < expiresAt,
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
