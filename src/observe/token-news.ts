// The log lines about the Vault token: its login and renewals, its takeover from an earlier process, its checks, and its end.

import { explain, type Failure } from '../core/errors.ts';
import { MOST_DENIED_CHECKS } from '../core/schedule.ts';
import type { Secret } from '../core/secret.ts';
import type { ExchangeSettings } from '../core/settings.ts';
import type { ExchangeEvent, HeldToken, State } from '../core/state.ts';
import type { ExchangeStatus } from '../core/status.ts';
import { whyNotReusable } from '../core/token-life.ts';
import type { FieldsOf } from './events.ts';
import { accessorOf, iso, type WriteLine } from './news.ts';

/** One step of an exchange. */
export interface Step {
  readonly settings: ExchangeSettings;
  readonly before: State;
  readonly after: State;
  readonly event: ExchangeEvent;
  /** after the step */
  readonly status: ExchangeStatus;
}

export function logToken(write: WriteLine, step: Step): void {
  logGrant(write, step);
  logNotReused(write, step);
  logRejected(write, step);
  logRevocation(write, step);
}

function logGrant(write: WriteLine, { before, after, event, status }: Step): void {
  const { token } = after;
  if (token === undefined || token.revision === before.token?.revision) return;
  const isRenewal = token.generation === before.token?.generation;
  write('info', nameOfGrant(event, isRenewal), tokenFields(token, status));
  const { policies } = token;
  if (isRenewal && policies.join() !== before.token?.policies.join()) write('warn', 'policies_changed', { policies });
  // Vault repeats its warnings at each renewal.
  const known = isRenewal ? (before.token?.warnings ?? []) : [];
  for (const warning of token.warnings.filter((one) => !known.includes(one)))
    write('warn', 'vault_warning', { warning });
  if (!isRenewal && token.numUses > 0) {
    write('warn', 'token_uses_limited', {
      num_uses: token.numUses,
      hint: "Set the role's token_num_uses to 0: each request with the token spends a use.",
    });
  }
  const streak = before.loginStreak ?? before.renewalStreak;
  if (streak !== undefined && after.loginStreak === undefined && after.renewalStreak === undefined) {
    write('info', 'recovered', { code: streak.failure.code, attempts: streak.count });
  }
}

type GrantEvent = 'lease_shortened' | 'token_reused' | 'renewed' | 'logged_in';

function nameOfGrant({ type }: ExchangeEvent, isKnown: boolean): GrantEvent {
  if (type === 'looked-up') return isKnown ? 'lease_shortened' : 'token_reused';
  return isKnown ? 'renewed' : 'logged_in';
}

/** Reports why the exchange doesn't take over the token of an earlier process. */
function logNotReused(write: WriteLine, { settings, before, after, event }: Step): void {
  const { earlier } = before;
  if (earlier === undefined || after.earlier !== undefined || after.token !== undefined) return;
  const failure = earlier.secret && lookupFailure(event);
  if (event.type === 'looked-up') {
    const { accessor } = event.life.grant;
    write('info', 'token_not_reused', { reason: whyNotReusable(settings, event.life), accessor });
  } else if (failure === undefined) {
    const reason = event.type === 'token-found' ? 'no earlier token' : "the sinks' file system doesn't respond";
    write('info', 'token_not_reused', { reason });
  } else write('info', 'token_not_reused', { reason: explain(failure).title }, failure);
}

/** Returns why a lookup failed. Any event may end it, once it is past its deadline. */
const lookupFailure = (event: ExchangeEvent): Failure =>
  event.type === 'lookup-failed' ? event.failure : { code: 'vault_call_stuck' };

/** Reports a check that found the held token dead; a login follows. */
function logRejected(write: WriteLine, { before, after, event }: Step): void {
  const { token, call } = before;
  if (event.type !== 'lookup-failed' || event.failure.code !== 'token_rejected') return;
  if (token === undefined || call?.attempt !== event.attempt) return;
  write('warn', 'token_rejected', { accessor: token.accessor }, event.failure);
  if (after.deniedChecks >= MOST_DENIED_CHECKS) write('warn', 'checks_ended', { hint: ENDED_HINT });
}

const ENDED_HINT = 'Grant read on auth/token/lookup-self, which the policy "default" has, or remove check_interval.';

/** Reports the end of a revocation. A failure that is retried is a line of the failure log. */
function logRevocation(write: WriteLine, { before, after, event }: Step): void {
  if (event.type !== 'revoked' && event.type !== 'revocation-failed') return;
  const isRetried = after.revocationStreak !== undefined && after.revocationStreak !== before.revocationStreak;
  const secret = revokedBy(before, event.attempt);
  if (secret === undefined || isRetried) return;
  const fields = { accessor: accessorOf(before, secret) };
  if (event.type === 'revocation-failed') write('warn', 'revocation_failed', fields, event.failure);
  else write('info', before.token?.secret.equals(secret) ? 'token_revoked' : 'replaced_token_revoked', fields);
}

function revokedBy({ call, stopping }: State, attempt: number): Secret | undefined {
  if (stopping?.revocation?.attempt === attempt) return stopping.revocation.secret;
  return call?.attempt === attempt ? call.revokes : undefined;
}

function tokenFields(token: HeldToken, status: ExchangeStatus): FieldsOf<GrantEvent> {
  return {
    accessor: token.accessor,
    ttl_seconds: token.leaseMs / 1000,
    renewable: token.renewable,
    token_type: token.type,
    policies: token.policies,
    expires_at: iso(status.token?.expiresAt),
    next_at: iso(status.nextAction?.at),
  };
}
