// The response of /status: its schema, which also defines its type, and its construction from the status of the exchanges.
// Members are in snake_case, instants are RFC 3339 strings, absent values are null. Undeclared members are never sent.

import Type, { type Static, type TSchema } from 'typebox';
import { ERRORS, type Explanation, explain, isFailure } from '../core/errors.ts';
import type { ExchangeStatus, RecentStatus } from '../core/status.ts';
import type { CallerToken } from './caller-token.ts';

/** Makes a schema accept null. A list of types, unlike a union, serializes without loading a validator. */
const nullable = <T extends TSchema & { type: string }>(schema: T) =>
  Type.Unsafe<Static<T> | null>({ ...schema, type: [schema.type, 'null'] });

const optionalText = nullable(Type.String());
const failureMembers = {
  code: Type.String(),
  title: Type.String(),
  evidence: optionalText,
  hint: Type.String(),
};

const ExchangeReply = Type.Object({
  exchange: Type.String(),
  phase: Type.String(),
  ready: Type.Boolean(),
  reasons: Type.Array(Type.String()),
  // optional for readers of the reply of an earlier version
  vault: Type.Optional(Type.String()),
  last_call: Type.Optional(
    nullable(Type.Object({ operation: Type.String(), code: Type.String(), title: optionalText, at: Type.String() })),
  ),
  failures_last_hour: Type.Optional(
    Type.Array(
      Type.Object({ code: Type.String(), title: Type.String(), count: Type.Number(), last_at: Type.String() }),
    ),
  ),
  jwt: nullable(
    Type.Object({
      issuer: optionalText,
      subject: optionalText,
      audience: Type.Array(Type.String()),
      expires_at: optionalText,
    }),
  ),
  token: nullable(
    Type.Object({
      accessor: Type.String(),
      expires_at: Type.String(),
      renew_at: Type.String(),
      // optional for readers of the reply of an earlier version
      login_at: Type.Optional(optionalText),
      ends_at: Type.Optional(optionalText),
      policies: Type.Array(Type.String()),
      type: Type.String(),
      renewable: Type.Boolean(),
      ttl_seconds: Type.Number(),
    }),
  ),
  failure: nullable(
    Type.Object({ ...failureMembers, since: Type.String(), attempts: Type.Number(), retry_at: optionalText }),
  ),
  sinks: Type.Array(
    Type.Object({
      id: Type.String(),
      // optional for readers of the reply of an earlier version
      mode: Type.Optional(Type.String()),
      current: Type.Boolean(),
      written_at: optionalText,
      // optional for readers of the reply of an earlier version
      failure: nullable(Type.Object({ ...failureMembers, evidence: Type.Optional(optionalText) })),
    }),
  ),
  next_action: nullable(Type.Object({ kind: Type.String(), at: Type.String() })),
});

export const StatusReply = Type.Object({
  version: Type.String(),
  api: Type.Object({ failure: nullable(Type.Object(failureMembers)) }),
  exchanges: Type.Array(ExchangeReply),
});

export type StatusReply = Static<typeof StatusReply>;
export type ExchangeReply = Static<typeof ExchangeReply>;

export function statusReply(
  { version, recent }: { readonly version: string; readonly recent: (exchange: string) => RecentStatus },
  statuses: readonly ExchangeStatus[],
  callerToken: Awaited<ReturnType<CallerToken>> | undefined,
): StatusReply {
  const failure = isFailure(callerToken) ? failureReply(explain(callerToken)) : null;
  return {
    version,
    api: { failure },
    exchanges: statuses.map((status) => exchangeReply(status, recent(status.exchange))),
  };
}

const failureReply = ({ code, title, evidence, hint }: Explanation) => ({
  code,
  title,
  evidence: evidence ?? null,
  hint,
});

function exchangeReply(status: ExchangeStatus, { lastCall, failures }: RecentStatus): ExchangeReply {
  const { exchange, phase, ready, reasons, vault, jwt, token, failure, sinks, nextAction } = status;
  return {
    exchange,
    phase,
    ready,
    reasons: [...reasons],
    vault,
    last_call: lastCall === undefined ? null : lastCallReply(lastCall),
    failures_last_hour: failures.map(({ code, count, at }) => ({
      code,
      title: ERRORS[code].title,
      count,
      last_at: iso(at),
    })),
    jwt: jwt === undefined ? null : jwtReply(jwt),
    token: token === undefined ? null : tokenReply(token),
    failure:
      failure === undefined
        ? null
        : {
            ...failureReply(failure),
            since: iso(failure.since),
            attempts: failure.attempts,
            retry_at: optionalIso(failure.retryAt),
          },
    sinks: sinks.map((sink) => ({
      id: sink.id,
      ...(sink.mode === undefined ? {} : { mode: sink.mode.toString(8).padStart(4, '0') }),
      current: sink.current,
      written_at: optionalIso(sink.writtenAt),
      failure: sink.failure === undefined ? null : failureReply(sink.failure),
    })),
    next_action: nextAction === undefined ? null : { kind: nextAction.kind, at: iso(nextAction.at) },
  };
}

const lastCallReply = ({ operation, code, at }: NonNullable<RecentStatus['lastCall']>) => ({
  operation,
  code,
  title: code === 'ok' ? null : ERRORS[code].title,
  at: iso(at),
});

const jwtReply = ({ issuer, subject, audience, expiresAt }: NonNullable<ExchangeStatus['jwt']>) => ({
  issuer: issuer ?? null,
  subject: subject ?? null,
  audience: [...audience],
  expires_at: optionalIso(expiresAt),
});

const tokenReply = (token: NonNullable<ExchangeStatus['token']>) => ({
  accessor: token.accessor,
  expires_at: iso(token.expiresAt),
  renew_at: iso(token.renewAt),
  login_at: optionalIso(token.loginAt),
  ends_at: optionalIso(token.endsAt),
  policies: [...token.policies],
  type: token.type,
  renewable: token.renewable,
  ttl_seconds: token.ttlMs / 1000,
});

const iso = (at: number): string => new Date(at).toISOString();
const optionalIso = (at: number | undefined): string | null => (at === undefined ? null : iso(at));
