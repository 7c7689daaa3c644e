// What /status says: the exchanges' status with members in snake_case and instants as RFC 3339 text, null where there is
// nothing. The schema stands beside it: only what is declared is sent.

import { type Explanation, explain, isFailure } from '../core/errors.ts';
import type { ExchangeStatus } from '../core/status.ts';
import type { CallerToken } from './caller-token.ts';

const TEXT = { type: ['string', 'null'] } as const;
const COUNT = { type: 'number' } as const;
const FLAG = { type: 'boolean' } as const;
const TEXTS = { type: 'array', items: { type: 'string' } } as const;
const object = (properties: Record<string, unknown>) => ({ type: ['object', 'null'], properties });
const trouble = { code: TEXT, title: TEXT, evidence: TEXT, hint: TEXT };

const EXCHANGE = object({
  exchange: TEXT,
  phase: TEXT,
  ready: FLAG,
  reasons: TEXTS,
  jwt: object({ issuer: TEXT, subject: TEXT, audience: TEXTS, expires_at: TEXT }),
  token: object({
    accessor: TEXT,
    expires_at: TEXT,
    renew_at: TEXT,
    policies: TEXTS,
    type: TEXT,
    renewable: FLAG,
    ttl_seconds: COUNT,
  }),
  failure: object({ ...trouble, since: TEXT, attempts: COUNT, retry_at: TEXT }),
  sinks: { type: 'array', items: object({ id: TEXT, current: FLAG, written_at: TEXT, failure: object(trouble) }) },
  next_action: object({ kind: TEXT, at: TEXT }),
});

export const STATUS_REPLY = {
  response: {
    200: object({
      version: TEXT,
      api: object({ failure: object(trouble) }),
      exchanges: { type: 'array', items: EXCHANGE },
    }),
  },
};

export function statusBody(
  version: string,
  statuses: readonly ExchangeStatus[],
  callerToken: Awaited<ReturnType<CallerToken>> | undefined,
) {
  const failure = isFailure(callerToken) ? failureBody(explain(callerToken)) : null;
  return { version, api: { failure }, exchanges: statuses.map(exchangeBody) };
}

const failureBody = (failure: Explanation) => ({ ...failure, evidence: failure.evidence ?? null });

function exchangeBody({ exchange, phase, ready, reasons, jwt, token, failure, sinks, nextAction }: ExchangeStatus) {
  return {
    exchange,
    phase,
    ready,
    reasons,
    jwt:
      jwt === undefined
        ? null
        : {
            issuer: jwt.issuer ?? null,
            subject: jwt.subject ?? null,
            audience: jwt.audience,
            expires_at: iso(jwt.expiresAt),
          },
    token:
      token === undefined
        ? null
        : {
            accessor: token.accessor,
            expires_at: iso(token.expiresAt),
            renew_at: iso(token.renewAt),
            policies: token.policies,
            type: token.type,
            renewable: token.renewable,
            ttl_seconds: token.ttlMs / 1000,
          },
    failure:
      failure === undefined
        ? null
        : {
            ...failureBody(failure),
            attempts: failure.attempts,
            since: iso(failure.since),
            retry_at: iso(failure.retryAt),
          },
    sinks: sinks.map((sink) => ({
      id: sink.id,
      current: sink.current,
      written_at: iso(sink.writtenAt),
      failure: sink.failure === undefined ? null : failureBody(sink.failure),
    })),
    next_action: nextAction === undefined ? null : { kind: nextAction.kind, at: iso(nextAction.at) },
  };
}

const iso = (at: number | undefined): string | null => (at === undefined ? null : new Date(at).toISOString());
