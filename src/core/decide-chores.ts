// The calls that no client waits for: the check of the held token, and the revocation of replaced ones.

import { isSameOrigin, originOf } from './origin.ts';
import { CALL_GAP_MS, choreReadyAt } from './schedule.ts';
import type { LiveToken, Policy, State } from './state.ts';

export type Chore =
  | { readonly operation: 'lookup'; readonly at: number }
  | { readonly operation: 'revoke'; readonly at: number; readonly token: LiveToken };

/** Returns the chore that is due next; undefined if there is none. */
export function nextChore(policy: Policy, state: State, now: number): Chore | undefined {
  const { lastCallAt, budget } = state;
  const floor = Math.max(lastCallAt + CALL_GAP_MS, choreReadyAt(budget));
  const chores = [...checks(state, now), ...revocations(policy, state, now)];
  const [first] = chores.sort((one, other) => one.at - other.at);
  return first && { ...first, at: Math.max(first.at, floor) };
}

function checks({ token, checkAt }: State, now: number): Chore[] {
  const isOurs = token !== undefined && !token.fromEarlierConfig && token.expiresAt > now;
  return isOurs && Number.isFinite(checkAt) ? [{ operation: 'lookup', at: checkAt }] : [];
}

/** Tokens of this Vault come first: the Vault of an earlier config may hang. */
function revocations({ settings }: Policy, { token, replaced }: State, now: number): Chore[] {
  if (settings.onReplace !== 'revoke') return [];
  const isHere = ({ origin }: LiveToken) => isSameOrigin(origin, originOf(settings));
  const ordered = [...replaced.filter(isHere), ...replaced.filter((one) => !isHere(one))];
  return ordered.flatMap((one): Chore[] => {
    if (one.outOfUseAt === undefined || token?.secret.equals(one.secret) === true) return [];
    const at = Math.max(one.outOfUseAt + settings.revokeDelayMs, one.retryAt ?? 0, now);
    return at < one.expiresAt ? [{ operation: 'revoke', at, token: one }] : [];
  });
}
