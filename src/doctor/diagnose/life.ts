// The lifetimes of JWTs and leases, as text.

import type { Evidence } from './evidence.ts';

/** The lifetime of the JWT in milliseconds; undefined if its exp isn't after its iat. */
export function lifeOf({ jwt }: Evidence): number | undefined {
  const { issuedAt, expiresAt } = jwt?.seen ?? {};
  if (issuedAt === undefined || expiresAt === undefined || expiresAt <= issuedAt) return undefined;
  return expiresAt - issuedAt;
}

export function lifeLeft(expiresAt: number | undefined, wall: number): string {
  if (expiresAt === undefined) return 'it has no exp';
  return expiresAt <= wall ? `it expired ${ago(wall - expiresAt)} ago` : `it expires in ${ago(expiresAt - wall)}`;
}

/** Formats a duration in its largest unit, rounded: 45 s, 12 min, 3 h, 2 d. */
export function ago(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
}
