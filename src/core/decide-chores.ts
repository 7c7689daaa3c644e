// The calls that no client waits for: the check of the held token, and the revocation of replaced ones.

import { budgetReadyAt, CALL_GAP_MS, MOST_DENIED_CHECKS } from './schedule.ts';
import type { LiveToken, Policy, State } from './state.ts';

export type Chore =
  | { readonly operation: 'lookup'; readonly at: number }
  | { readonly operation: 'revoke'; readonly at: number; readonly token: LiveToken };

/** Returns the chore that is due next; undefined if there is none. */
export function nextChore({ settings }: Policy, state: State, now: number): Chore | undefined {
  const { token, checkAt, deniedChecks, replaced, revocationStreak, lastCallAt, budget } = state;
  const earliest = (at: number) => Math.max(at, lastCallAt + CALL_GAP_MS, budgetReadyAt(budget, true));
  const chores: Chore[] = [];
  const isOurs = token !== undefined && !token.fromEarlierConfig && token.expiresAt > now;
  if (isOurs && Number.isFinite(checkAt) && deniedChecks < MOST_DENIED_CHECKS)
    chores.push({ operation: 'lookup', at: earliest(checkAt) });
  if (settings.onReplace === 'revoke') {
    for (const one of replaced) {
      if (one.outOfUseAt === undefined || one.expiresAt <= now) continue;
      const at = Math.max(one.outOfUseAt + settings.revokeDelayMs, revocationStreak?.retryAt ?? 0);
      if (at < one.expiresAt) chores.push({ operation: 'revoke', at: earliest(at), token: one });
    }
  }
  return chores.reduce<Chore | undefined>(
    (first, one) => (first === undefined || one.at < first.at ? one : first),
    undefined,
  );
}
