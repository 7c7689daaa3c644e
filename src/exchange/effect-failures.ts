// Effects that throw: the exception becomes a failure, and the failure the event that the core waits for.

import { ExchangeError, type Failure } from '../core/errors.ts';
import { scrub } from '../core/secret.ts';
import type { Effect, ExchangeEvent } from '../core/state.ts';
import type { JwtSource } from '../sources/source.ts';

/** Returns the event for an effect that threw. */
export function failureEvent(effect: Effect, failure: Failure, { watched }: JwtSource): ExchangeEvent {
  switch (effect.type) {
    case 'find-last-login':
      return { type: 'last-login-found', ageMs: Number.POSITIVE_INFINITY };
    case 'read-jwt':
      return { type: 'jwt-unreadable', attempt: effect.attempt, failure, watched };
    case 'log-in':
      return { type: 'login-failed', attempt: effect.attempt, failure };
    case 'renew':
      return { type: 'renewal-failed', attempt: effect.attempt, failure };
    case 'find-token':
      return { type: 'token-found', token: undefined };
    case 'look-up':
      return { type: 'lookup-failed', attempt: effect.attempt, failure };
    case 'revoke':
      return { type: 'revocation-failed', attempt: effect.attempt, failure };
    case 'deliver':
      return { type: 'delivery-failed', sink: effect.sink, attempt: effect.attempt, failure };
    case 'run-hook':
      return { type: 'hook-ended' };
    case 'withdraw':
      return { type: 'withdrawn' };
  }
}

/** Turns an exception into a failure. Anything but an ExchangeError is a bug; its message is scrubbed. */
export function failureOf(error: unknown): Failure {
  if (error instanceof ExchangeError) return error.failure;
  const text = error instanceof Error ? scrub(`${error.name}: ${error.message}`).slice(0, 200) : 'not an error';
  return { code: 'internal', facts: { kind: 'thrown', text } };
}
