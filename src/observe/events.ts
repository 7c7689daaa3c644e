// All log events: level, meaning and members. The types of the log are made from this table, and so is the reference in
// docs/observability.md. It is imported for its types only, so the program doesn't carry the texts.

import type { LogLevel } from '../core/settings.ts';

const event = <const Level extends LogLevel, const Members extends readonly string[]>(
  level: Level,
  meaning: string,
  ...members: Members
) => ({ level, meaning, members });

/** what explains a failure */
const FAILURE = ['code', 'title', 'evidence', 'hint'] as const;
/** the state of repeated failures */
const STREAK = ['attempts', 'since', 'retry_at'] as const;
/** ids in Vault's audit log */
const CALL = ['correlation_id', 'request_id'] as const;
const TOKEN = ['accessor', 'ttl_seconds', 'renewable', 'token_type', 'policies', 'expires_at', 'next_at'] as const;

export const EVENTS = {
  starting: event('info', 'the process starts', 'version', 'exchanges'),
  config_warning: event('warn', 'a variable that the sidecar ignores', 'warning'),
  start_delayed: event('info', '`start_jitter` delays the first logins', 'first_login_at'),
  listening: event('info', 'the listeners are open', 'api', 'ops', 'proxies'),

  jwt_changed: event('info', 'a new JWT was read', 'issuer', 'subject', 'audience', 'jwt_expires_at'),
  jwt_unusable: event('warn', "the JWT can't be used", ...FAILURE),
  jwt_usable: event('info', 'the JWT can be used again'),
  jwt_not_rotated: event('warn', 'the JWT is past 90 % of its life', 'jwt_expires_at', 'hint'),

  logged_in: event('info', 'a new token', ...TOKEN, ...CALL),
  renewed: event('info', 'a longer lease', ...TOKEN, ...CALL),
  lease_shortened: event('info', 'a check found less time left', ...TOKEN, ...CALL),
  call_delayed: event(
    'info',
    'a rate limit delays a call to Vault',
    'operation',
    'reason',
    'wait_seconds',
    'starts_at',
  ),
  login_failed: event('warn', 'a login failed', ...FAILURE, ...STREAK, ...CALL),
  renewal_failed: event('warn', 'a renewal failed', ...FAILURE, ...STREAK, ...CALL),
  recovered: event('info', 'the first success after failures', 'code', 'attempts', ...CALL),
  policies_changed: event('warn', "a renewal changed the token's policies", 'policies', ...CALL),
  vault_warning: event('warn', "a warning in Vault's reply", 'warning', ...CALL),
  token_uses_limited: event('warn', "the role limits the token's uses", 'num_uses', 'hint', ...CALL),

  token_reused: event('info', 'the token of an earlier process goes on', ...TOKEN, ...CALL),
  token_not_reused: event(
    'info',
    'the earlier token is not taken over: a login follows',
    'reason',
    'accessor',
    ...FAILURE,
    ...CALL,
  ),
  lookup_failed: event('warn', "the earlier token isn't confirmed yet", ...FAILURE, ...STREAK, ...CALL),
  token_rejected: event('warn', 'Vault rejects the token: a login follows', 'accessor', ...FAILURE, ...CALL),
  checks_ended: event('warn', 'the policies lack lookup-self', 'hint', ...CALL),
  replaced_token_revoked: event('info', 'a replaced token was revoked', 'accessor', ...CALL),
  token_revoked: event('info', 'the token was revoked at a stop', 'accessor', ...CALL),
  revocation_failed: event('warn', 'the token may live until its expiry', 'accessor', ...FAILURE, ...STREAK, ...CALL),

  sink_written: event('debug', 'a file was written', 'sink'),
  sink_restored: event('warn', 'a deleted or altered file was written again', 'sink', 'hint'),
  sink_failed: event('error', "a sink can't be written", 'sink', ...FAILURE),
  sink_recovered: event('info', 'a sink can be written again', 'sink'),
  sink_left: event('warn', 'a reload left an old token file behind', 'sink', 'hint'),
  hook_ran: event('info', '`on_change` succeeded', 'sink'),
  hook_failed: event('warn', '`on_change` failed', 'sink', ...FAILURE),
  hook_skipped: event('info', 'there is no pid file', 'sink', ...FAILURE),
  hook_output: event('debug', 'what a command of `on_change` printed', 'sink', 'output'),

  ready: event('info', 'the exchange is ready, as `/readyz` says'),
  not_ready: event('error', 'the exchange is no longer ready', 'reasons'),

  config_reloaded: event('info', 'a reload succeeded'),
  config_refused: event('error', 'a reload failed: the old config stays', 'evidence', 'hint'),
  restart_needed: event('warn', '`api`, `ops`, `proxy` or `log.format` changed in a reload', 'hint'),
  caller_token_unusable: event('warn', "the caller token's file can't be used", ...FAILURE),
  caller_token_usable: event('info', "the caller token's file can be used again"),
  systemd_unheard: event('error', "systemd can't be notified", 'evidence', 'hint'),
  command_outdated: event('warn', '`exec`: the command has an old token', 'hint'),
  command_restarting: event('warn', '`exec`: the command restarts with the new token'),
  stopping: event('info', 'the process stops'),
  crashed: event('error', 'a bug; the process ends', 'evidence'),
};

export type EventName = keyof typeof EVENTS;
export type LevelOf<Name extends EventName> = (typeof EVENTS)[Name]['level'];

export type LogValue = string | number | boolean | readonly string[] | undefined;
/** The members of an event, besides `time`, `level` and `event`. */
export type FieldsOf<Name extends EventName> = {
  readonly [Member in (typeof EVENTS)[Name]['members'][number] | 'exchange']?: LogValue;
};
