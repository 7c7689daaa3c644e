// Runs one exchange: passes events to the core, performs its effects, and posts their results as events.
// Holds the state and the one timer, and decides nothing. An exception in an effect becomes the effect's failure event.

import { isDeepStrictEqual } from 'node:util';
import { isStopped } from '../core/decide.ts';
import { type Failure, isFailure } from '../core/errors.ts';
import { originOf, placeOf, type TokenOrigin } from '../core/origin.ts';
import type { Secret } from '../core/secret.ts';
import type { ExchangeSettings } from '../core/settings.ts';
import type { Effect, ExchangeEvent, Moment, Policy, State, Trace } from '../core/state.ts';
import { type Beginning, initialState, step } from '../core/step.ts';
import { judgeLookup } from '../core/token-life.ts';
import {
  type Grant,
  judgeGrant,
  judgeRevocation,
  loginRequest,
  lookupRequest,
  type Operation,
  renewalRequest,
  requestIdOf,
  revocationRequest,
  type TokenRequest,
  type VaultReply,
} from '../core/vault-protocol.ts';
import type { TokenDocument, TokenSink } from '../sinks/sink.ts';
import type { JwtSource } from '../sources/source.ts';
import type { VaultClient } from '../vault/client.ts';
import { failureEvent, failureOf } from './effect-failures.ts';

/** Time and randomness, injected so that tests control them. Instants are epoch milliseconds. */
export interface Clock {
  /** the steady clock: it can't be set, and keeps counting while the machine is suspended */
  now(): number;
  wall(): number;
  /** a random number in [0, 1) */
  random(): number;
  /** calls `wake` once, at `at` or a little later; the returned function cancels it */
  wakeAt(at: number, wake: () => void): () => void;
}

/** Receives what a runner does; observe/ turns it into logs and metrics. */
export interface RunnerObserver {
  added(policy: Policy): void;
  /** A reload removed the exchange. */
  removed(exchange: string): void;
  /** A reload removed the sink, and its file stays. */
  left(exchange: string, sink: string): void;
  stepped(policy: Policy, before: State, after: State, event: ExchangeEvent, moment: Moment): void;
  called(policy: Policy, call: VaultCall): void;
  hooked(policy: Policy, result: HookResult): void;
}

/** The end of a hook. */
export interface HookResult {
  readonly sink: string;
  /** undefined if the hook succeeded */
  readonly failure: Failure | undefined;
  /** the beginning of what its command printed, as one safe line; empty if it printed nothing */
  readonly output: string;
}

export interface VaultCall {
  readonly operation: Operation;
  readonly code: 'ok' | Failure['code'];
  readonly durationMs: number;
  /** wall clock minus Vault's clock, from the Date header; undefined without one */
  readonly clockSkewMs: number | undefined;
}

export interface RunnerParts {
  readonly policy: Policy;
  readonly source: JwtSource;
  readonly vault: VaultClient;
  readonly sinks: readonly TokenSink[];
  readonly clock: Clock;
  /** returns a new id for a call to Vault */
  readonly nextCorrelationId: () => string;
  readonly observer: RunnerObserver;
  /** Runs the hook of a sink; undefined if it didn't run. By default, there are no hooks. */
  readonly runHook?: (hook: { readonly sink: string; readonly token: Secret }) => Promise<HookResult | undefined>;
  readonly beginning?: Beginning | undefined;
  /** Opens the Vault of an earlier config, to revoke a token there; undefined if the address is unknown. */
  readonly earlierVault?: (address: string) => VaultClient | undefined;
  /** called with the grant of a login that was in flight when the runner was closed */
  readonly onLateGrant?: (grant: Grant, origin: TokenOrigin) => void;
}

export interface Runner {
  readonly policy: Policy;
  state(): State;
  post(event: ExchangeEvent): void;
  /** Resolves when the stop is complete or past its deadline (STOP_MS). */
  stop(): Promise<void>;
  /** Ignores all further events, except a late grant. Resolves when no call to Vault is in flight. */
  close(): Promise<void>;
}

// Timers don't run while the machine is suspended. With this limit, the runner catches up soon after the resume.
const LONGEST_TIMER_MS = 30_000;
const VAULT_EFFECTS: ReadonlySet<Effect['type']> = new Set(['log-in', 'renew', 'look-up', 'revoke']);

export function startRunner(parts: RunnerParts): Runner {
  const { policy, clock, observer } = parts;
  let state = initialState(policy, momentOf(clock), parts.beginning);
  let cancelTimer = () => {};
  let closed = false;
  let onStopped = () => {};
  let calls: Promise<unknown> = Promise.resolve();

  function post(event: ExchangeEvent): void {
    if (closed) {
      if (event.type === 'logged-in') parts.onLateGrant?.(event.grant, originOf(policy.settings));
      return;
    }
    const moment = momentOf(clock);
    const before = state;
    const decision = step(policy, before, event, moment);
    state = decision.state;
    observer.stepped(policy, before, state, event, moment);
    cancelTimer();
    cancelTimer = clock.wakeAt(Math.min(decision.wakeAt, moment.now + LONGEST_TIMER_MS), () => post({ type: 'woke' }));
    for (const effect of decision.effects) start(effect);
    if (isStopped(policy, state, moment.now)) onStopped();
  }

  function start(effect: Effect): void {
    const done = perform(effect, parts)
      .catch((error: unknown) => failureEvent(effect, failureOf(error), parts.source))
      .then(post);
    // A delivery may hang with its disk, and must not keep the Vault client open.
    if (VAULT_EFFECTS.has(effect.type)) calls = Promise.all([calls, done]).then(() => {});
  }

  post({ type: 'woke' });
  return {
    policy,
    state: () => state,
    post,
    async stop() {
      const stopped = new Promise<void>((resolve) => {
        onStopped = resolve;
      });
      post({ type: 'stop-requested' });
      await stopped;
    },
    async close() {
      closed = true;
      cancelTimer();
      await calls;
    },
  };
}

export function momentOf(clock: Clock): Moment {
  return { now: clock.now(), wall: clock.wall(), random: clock.random() };
}

/** Returns the token for the sinks. Uses the recorded clock offset, so that one token always renders to one text. */
function documentOf({ token, clockOffsetMs }: Effect & { type: 'deliver' }, policy: Policy): TokenDocument {
  const { secret, accessor, grantedRenewable: renewable, policies, place } = token;
  const instants = { issuedAt: token.issuedAt + clockOffsetMs, expiresAt: token.expiresAt + clockOffsetMs };
  return { exchange: policy.settings.name, place, secret, accessor, ...instants, renewable, policies };
}

async function perform(effect: Effect, parts: RunnerParts): Promise<ExchangeEvent> {
  const { source, sinks } = parts;
  const { login } = parts.policy.settings;
  switch (effect.type) {
    case 'find-last-login':
      return {
        type: 'last-login-found',
        ageMs: Math.min(Number.POSITIVE_INFINITY, ...(await Promise.all(sinks.map((sink) => sink.age())))),
      };
    case 'read-jwt': {
      const { attempt } = effect;
      const secret = await source.read();
      return { type: 'jwt-read', attempt, secret, watched: source.watched, mayBeTorn: source.mayBeTorn === true };
    }
    case 'log-in': {
      const { attempt, timeoutMs, jwt } = effect;
      const { outcome, trace } = await grant({ ...loginRequest(login, jwt), timeoutMs }, jwt, parts);
      if (isFailure(outcome)) return { type: 'login-failed', attempt, trace, failure: outcome };
      return { type: 'logged-in', attempt, trace, grant: outcome };
    }
    case 'renew': {
      const { attempt, timeoutMs, token } = effect;
      const { outcome, trace } = await grant({ ...renewalRequest(login, token), timeoutMs }, token, parts);
      if (isFailure(outcome)) return { type: 'renewal-failed', attempt, trace, failure: outcome };
      return { type: 'renewed', attempt, trace, grant: outcome };
    }
    case 'find-token':
      return { type: 'token-found', token: await findDelivered(sinks, parts.policy.settings) };
    case 'look-up':
      return lookUp(effect, parts);
    case 'revoke':
      return revoke(effect, parts);
    case 'deliver': {
      const { sink: id, attempt } = effect;
      const sink = sinks.find((one) => one.id === id);
      const { written = false } = (await sink?.deliver(documentOf(effect, parts.policy))) ?? {};
      return { type: 'delivered', sink: id, attempt, written };
    }
    case 'run-hook': {
      const result = await parts.runHook?.(effect);
      // no decision depends on it, and a reload may have ended this runner
      if (result !== undefined) parts.observer.hooked(parts.policy, result);
      return { type: 'hook-ended' };
    }
    case 'withdraw':
      await Promise.allSettled(sinks.filter(({ id }) => effect.sinks.includes(id)).map((sink) => sink.remove()));
      return { type: 'withdrawn' };
  }
}

async function lookUp(effect: Effect & { type: 'look-up' }, parts: RunnerParts): Promise<ExchangeEvent> {
  const { attempt, timeoutMs, token } = effect;
  const request = { ...lookupRequest(parts.policy.settings.login, token), timeoutMs };
  const { outcome, trace } = await call(request, parts, (reply) => judgeLookup(reply, token));
  if (isFailure(outcome)) return { type: 'lookup-failed', attempt, trace, failure: outcome };
  return { type: 'looked-up', attempt, trace, life: outcome };
}

/** Returns the token that an earlier process delivered for the same Vault, namespace, mount and role. */
async function findDelivered(sinks: readonly TokenSink[], settings: ExchangeSettings): Promise<Secret | undefined> {
  const place = placeOf(settings);
  const found = await Promise.all(sinks.map((sink) => sink.read()));
  return found.find((one) => isDeepStrictEqual(one?.place, place))?.secret;
}

async function revoke(effect: Effect & { type: 'revoke' }, parts: RunnerParts): Promise<ExchangeEvent> {
  const { attempt, timeoutMs, token } = effect;
  const { secret, origin } = token;
  const isHere = origin.address === parts.policy.settings.vault.address;
  const vault = isHere ? parts.vault : parts.earlierVault?.(origin.address);
  if (vault === undefined) return { type: 'revocation-failed', attempt, failure: { code: 'vault_unreachable' } };
  const request = { ...revocationRequest(origin, secret), timeoutMs };
  const revoking = call(request, parts, (reply) => judgeRevocation(reply, [secret]), vault);
  const { outcome: failure, trace } = await revoking.finally(() => (isHere ? undefined : vault.close()));
  if (failure !== undefined) return { type: 'revocation-failed', attempt, trace, failure };
  return { type: 'revoked', attempt, trace };
}

interface CallResult<T> {
  readonly outcome: T | Failure;
  readonly trace: Trace;
}

function grant(request: TokenRequest, sent: Secret, parts: RunnerParts): Promise<CallResult<Grant>> {
  return call(request, parts, (reply) => judgeGrant(request.operation, reply, [sent]));
}

/** Makes one call, judges its reply and reports the outcome to the observer. */
async function call<T>(
  request: TokenRequest,
  parts: RunnerParts,
  judge: (reply: VaultReply) => T | Failure,
  vault: Pick<VaultClient, 'send'> = parts.vault,
): Promise<CallResult<T>> {
  const startedAt = performance.now();
  const correlationId = parts.nextCorrelationId();
  const reply = await vault.send({ ...request, correlationId }).catch(failureOf);
  const outcome = isFailure(reply) ? reply : judge(reply);
  const date = isFailure(reply) ? Number.NaN : Date.parse(reply.headers['date'] ?? '');
  parts.observer.called(parts.policy, {
    operation: request.operation,
    code: isFailure(outcome) ? outcome.code : 'ok',
    durationMs: performance.now() - startedAt,
    clockSkewMs: Number.isNaN(date) ? undefined : parts.clock.wall() - date,
  });
  return { outcome, trace: { correlationId, requestId: isFailure(reply) ? undefined : requestIdOf(reply, request) } };
}
