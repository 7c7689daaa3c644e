// Times for people: what is left, what is past, and what happens when.

import type { ExchangeReply } from '../http/status-reply.ts';

/** Formats the time until an instant in its two largest units: 1h 12m, 45s; 0s if it is past. */
export const timeUntil = (instant: string, now: number): string => duration(Date.parse(instant) - now);

/** Formats the time since an instant in the same way. */
export const timeSince = (instant: string, now: number): string => duration(now - Date.parse(instant));

/** @param ms negative counts as zero */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  if (hours > 0) return `${hours}h ${minutes}m`;
  return minutes > 0 ? `${minutes}m ${seconds % 60}s` : `${seconds}s`;
}

/** Formats an RFC 3339 instant: 2026-03-01 12:40:12 UTC. */
export const utc = (instant: string): string => `${instant.slice(0, 19).replace('T', ' ')} UTC`;

/** Says what happens to the token, as far as it is known. */
export function planOf({ token, next_action: next }: ExchangeReply, now: number): string | undefined {
  const isRenewed = next?.kind === 'renew';
  const parts = [
    ...(isRenewed ? [`renews in ${timeUntil(next.at, now)}`] : []),
    ...(token?.login_at ? [`${isRenewed ? 'if renewals fail, ' : ''}logs in at ${utc(token.login_at)}`] : []),
    ...(token?.ends_at ? [`the token can't be renewed and ends at ${utc(token.ends_at)}`] : []),
  ];
  return parts.length === 0 ? undefined : parts.join('; ');
}
