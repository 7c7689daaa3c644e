// A plan: the set-up of a sidecar, its Vaults and its issuer, and the faults that a month has in store for them. It is plain
// data, so that it can be printed, cut down and lived again.

import type { ExchangeSettings } from '../../src/core/settings.ts';

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** One longest backoff, a call that was doomed when the fault ended, and the way to the sinks. */
export const SOON_MS = 85 * SECOND;
/** The same where somebody had to change something. */
export const SLOW_MS = 330 * SECOND;

export interface Plan {
  readonly seed: number;
  readonly days: number;
  readonly setup: Setup;
  readonly faults: readonly Fault[];
}

export interface Setup {
  readonly vaults: readonly VaultSetup[];
  readonly exchanges: readonly ExchangeSettings[];
  readonly jwtLifeMs: number;
  readonly rotationMs: number;
}

export interface VaultSetup {
  readonly address: string;
  readonly ttlMs: number;
  readonly maxTtlMs: number;
  readonly tokenType: 'service' | 'batch';
}

export interface Fault {
  readonly id: number;
  readonly kind: string;
  /** from the month's start */
  readonly atMs: number;
  readonly forMs: number;
  readonly args: FaultArgs;
}

export type FaultArgs = Readonly<Record<string, number | string>>;

export function describeFault({ id, kind, atMs, forMs, args }: Fault): string {
  const told = Object.entries(args).map(([name, value]) => `${name} ${value}`);
  return `${id} at ${clockOf(atMs)}: ${[kind, ...told].join(', ')}, for ${(forMs / SECOND).toFixed(0)} s`;
}

/** Such as 12d 04:05:06.789 */
export function clockOf(ms: number): string {
  return `${Math.floor(ms / DAY)}d ${new Date(ms).toISOString().slice(11, 23)}`;
}
