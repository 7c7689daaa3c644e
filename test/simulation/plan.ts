// A plan: the setup of a sidecar, its Vaults and its issuer, and the faults of a month. It is plain data, so that it
// can be printed, shrunk and replayed.

import type { ExchangeSettings } from '../../src/core/settings.ts';

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** Time to recover: the longest backoff, a call that was already failing when the fault ended, and the write to the sinks. */
export const SOON_MS = 85 * SECOND;
/** The same after errors that back off to five minutes, such as a missing role. */
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
  /** since the start of the month */
  readonly atMs: number;
  readonly forMs: number;
  readonly args: FaultArgs;
}

export type FaultArgs = Readonly<Record<string, number | string>>;

export function describeFault({ id, kind, atMs, forMs, args }: Fault): string {
  const told = Object.entries(args).map(([name, value]) => `${name} ${value}`);
  return `${id} at ${clockOf(atMs)}: ${[kind, ...told].join(', ')}, for ${(forMs / SECOND).toFixed(0)} s`;
}

/** Formats a time, such as 12d 04:05:06.789. */
export function clockOf(ms: number): string {
  return `${Math.floor(ms / DAY)}d ${new Date(ms).toISOString().slice(11, 23)}`;
}
