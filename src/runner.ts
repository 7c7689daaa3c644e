// Runs one exchange: an event goes in, the core steps, its effects are started, their results come back as events.
// Holds the state and the one timer. It decides nothing: what to do and when is the core's word.
// An effect never rejects: whatever is thrown on its way becomes the matching failure event.

import { isStopped } from './core/decide.ts';
import { ExchangeError, type Failure } from './core/errors.ts';
import { type Inheritance, initialState, step } from './core/exchange.ts';
import { type Secret, scrub } from './core/secret.ts';
import type { Effect, ExchangeEvent, Moment, Policy, State } from './core/state.ts';
import {
  type Grant,
  judgeGrant,
  judgeRevocation,
  loginRequest,
  type Operation,
  renewalRequest,
  revocationRequest,
  type TokenRequest,
  type VaultReply,
} from './core/vault-protocol.ts';
import type { TokenDocument, TokenSink } from './sinks/sink.ts';
import type { JwtSource } from './sources/source.ts';
import type { VaultClient } from './vault/client.ts';

/** Time and chance, handed in so that tests can own them. Instants are epoch milliseconds. */
export interface Clock {
  /** never jumps, and goes on while the machine sleeps */
  now(): number;
  wall(): number;
  /** a draw in [0, 1) */
  random(): number;
  /** calls `wake` once at `at`, or somewhat later; the answer calls it off */
  wakeAt(at: number, wake: () => void): () => void;
}

/** What a runner tells as it goes; observe.ts makes logs and metrics of it. */
export interface RunnerObserver {
  added(policy: Policy): void;
  stepped(policy: Policy, before: State, after: State, event: ExchangeEvent, moment: Moment): void;
  called(policy: Policy, call: VaultCall): void;
}

export interface VaultCall {
  readonly operation: Operation;
  readonly code: 'ok' | Failure['code'];
  readonly durationMs: number;
  /** the wall clock minus Vault's, by the Date header; undefined if the reply had none */
  readonly clockSkewMs: number | undefined;
}

export interface RunnerParts {
  readonly policy: Policy;
  readonly source: JwtSource;
  readonly vault: VaultClient;
  readonly sinks: readonly TokenSink[];
  readonly clock: Clock;
  readonly observer: RunnerObserver;
  readonly inherited?: Inheritance | undefined;
  /** the first look at what is due comes this much later; at once if left out */
  readonly startsInMs?: number;
  /** whether a token that another process put in place lately holds up the first login; it does if left out */
  readonly looksBack?: boolean;
}

export interface Runner {
  readonly policy: Policy;
  state(): State;
  post(event: ExchangeEvent): void;
  /** Resolves when nothing is left to wait for; the caller bounds the time. */
  stop(): Promise<void>;
  /** Ends at once: no event is taken any more. */
  close(): void;
}

// Timers stop while a machine sleeps: waking this often, the runner notices what it slept through.
const LONGEST_TIMER_MS = 30_000;

export function startRunner(parts: RunnerParts): Runner {
  const { policy, clock, observer } = parts;
  let state = initialState(policy, momentOf(clock), parts.inherited);
  let cancelTimer = () => {};
  let closed = false;
  let isBegun = false;
  let onStopped = () => {};

  function post(event: ExchangeEvent): void {
    if (closed) return;
    if (!isBegun && event.type === 'refresh-requested') begin();
    // what else comes before the first look is seen by it
    if (!isBegun && event.type !== 'stop-requested') return;
    const moment = momentOf(clock);
    const before = state;
    const decision = step(policy, before, event, moment);
    state = decision.state;
    observer.stepped(policy, before, state, event, moment);
    cancelTimer();
    cancelTimer = clock.wakeAt(Math.min(decision.wakeAt, moment.now + LONGEST_TIMER_MS), () => post({ type: 'woke' }));
    for (const effect of decision.effects) void perform(effect, parts).then(post);
    if (isStopped(policy, state)) onStopped();
  }

  function begin(): void {
    isBegun = true;
    if (parts.looksBack !== false)
      for (const sink of parts.sinks) void sink.age().then((ageMs) => post({ type: 'token-found', ageMs }));
    post({ type: 'woke' });
  }

  if (parts.startsInMs) cancelTimer = clock.wakeAt(clock.now() + parts.startsInMs, begin);
  else begin();
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
    close() {
      closed = true;
      cancelTimer();
    },
  };
}

export function momentOf(clock: Clock): Moment {
  return { now: clock.now(), wall: clock.wall(), random: clock.random() };
}

/** The token as the sinks take it: instants on the wall clock, by an offset that stays, so that the text stays too. */
function documentOf({ token, clockOffsetMs }: Effect & { type: 'deliver' }, policy: Policy): TokenDocument {
  const { secret, accessor, renewable, policies } = token;
  const instants = { issuedAt: token.issuedAt + clockOffsetMs, expiresAt: token.expiresAt + clockOffsetMs };
  return { exchange: policy.settings.name, secret, accessor, ...instants, renewable, policies };
}

async function perform(effect: Effect, parts: RunnerParts): Promise<ExchangeEvent> {
  const { source } = parts;
  switch (effect.type) {
    case 'read-jwt':
      return source.read().then(
        (secret) => ({ type: 'jwt-read', secret, watched: source.watched, mayBeTorn: source.mayBeTorn === true }),
        (error) => ({ type: 'jwt-unreadable', failure: failureOf(error), watched: source.watched }),
      );
    case 'log-in': {
      const outcome = await grant(loginRequest(parts.policy.settings.login, effect.jwt), effect.jwt, parts);
      if ('code' in outcome) return { type: 'login-failed', attempt: effect.attempt, failure: outcome };
      return { type: 'logged-in', attempt: effect.attempt, grant: outcome };
    }
    case 'renew': {
      const outcome = await grant(renewalRequest(parts.policy.settings.login, effect.token), effect.token, parts);
      if ('code' in outcome) return { type: 'renewal-failed', attempt: effect.attempt, failure: outcome };
      return { type: 'renewed', attempt: effect.attempt, grant: outcome };
    }
    case 'revoke': {
      const request = revocationRequest(parts.policy.settings.login, effect.token);
      const failure = await call(request, parts, (reply) => judgeRevocation(reply, [effect.token]));
      if (failure !== undefined) return { type: 'revocation-failed', attempt: effect.attempt, failure };
      return { type: 'revoked', attempt: effect.attempt };
    }
    case 'deliver':
      return deliver(effect, parts);
    case 'withdraw':
      await Promise.allSettled(parts.sinks.map((sink) => sink.remove()));
      return { type: 'withdrawn' };
  }
}

function grant(request: TokenRequest, sent: Secret, parts: RunnerParts): Promise<Grant | Failure> {
  return call(request, parts, (reply) => judgeGrant(request.operation, reply, [sent]));
}

/** One call, judged and told of. */
async function call<T>(
  request: TokenRequest,
  parts: RunnerParts,
  judge: (reply: VaultReply) => T | Failure,
): Promise<T | Failure> {
  const startedAt = performance.now();
  const reply = await parts.vault.send(request).catch(failureOf);
  const outcome = isFailure(reply) ? reply : judge(reply);
  const date = isFailure(reply) ? Number.NaN : Date.parse(reply.headers['date'] ?? '');
  parts.observer.called(parts.policy, {
    operation: request.operation,
    code: isFailure(outcome) ? outcome.code : 'ok',
    durationMs: performance.now() - startedAt,
    clockSkewMs: Number.isNaN(date) ? undefined : parts.clock.wall() - date,
  });
  return outcome;
}

async function deliver(effect: Effect & { type: 'deliver' }, parts: RunnerParts): Promise<ExchangeEvent> {
  const sink = parts.sinks.find(({ id }) => id === effect.sink);
  try {
    const { written } = (await sink?.deliver(documentOf(effect, parts.policy))) ?? {
      written: false,
    };
    return { type: 'delivered', sink: effect.sink, written };
  } catch (error) {
    return { type: 'delivery-failed', sink: effect.sink, failure: failureOf(error) };
  }
}

const isFailure = (value: unknown): value is Failure => typeof value === 'object' && value !== null && 'code' in value;

/** What was thrown, as a failure; anything but an ExchangeError is a bug, told without risking a secret. */
function failureOf(error: unknown): Failure {
  if (error instanceof ExchangeError) return error.failure;
  const evidence = error instanceof Error ? scrub(`${error.name}: ${error.message}`).slice(0, 200) : 'not an error';
  return { code: 'internal', evidence };
}
