// The scenarios of a fleet, the figures of Vault's load, and the table of both.

import type { Failure } from '../../src/core/errors.ts';
import { Fleet, type Load, type Scenario } from './fleet.ts';
import { naive, sidecar } from './fleet-clients.ts';
import { HOUR, MINUTE, SECOND } from './plan.ts';

const SEED = 1;
const SEALED: Failure = { code: 'vault_sealed' };
const UNKNOWN_KEY: Failure = { code: 'signature_invalid' };

/** @param hours how long Vault is sealed, from the second hour on */
export function outage(clients: number, hours: number): Scenario {
  const [from, to] = [2 * HOUR, (2 + hours) * HOUR];
  return {
    name: `sealed for ${hours} h`,
    clients,
    ms: to + 2 * HOUR,
    startOverMs: 10 * SECOND,
    trouble: (_operation, ms) => (ms >= from && ms < to ? SEALED : undefined),
    outage: [from, to],
  };
}

export const startTogether = (clients: number): Scenario => ({
  name: 'all start at once',
  clients,
  ms: HOUR,
  startOverMs: 0,
});

/** Every client gets a JWT signed by a new key within a minute, and Vault refuses it until it refetches the keys. */
export const keyRotation = (clients: number): Scenario => ({
  name: 'keys rotate, 10 min unknown',
  clients,
  ms: 2 * HOUR,
  startOverMs: 10 * SECOND,
  newJwts: [HOUR, HOUR + MINUTE],
  trouble: (operation, ms) =>
    operation === 'login' && ms >= HOUR && ms < HOUR + 10 * MINUTE ? UNKNOWN_KEY : undefined,
});

export const quota = (clients: number): Scenario => ({
  name: 'all start, quota of 20/s',
  clients,
  ms: HOUR,
  startOverMs: 0,
  quota: 20,
});

export const largerQuota = (clients: number): Scenario => ({
  ...quota(clients),
  name: 'all start, quota of 100/s',
  quota: 100,
});

export const jitteredStart = (clients: number): Scenario => ({
  ...largerQuota(clients),
  name: 'the same, start_jitter of 60s',
  startJitterMs: MINUTE,
});

/** Vault refuses what it can't serve within a second. */
export const overload = (clients: number): Scenario => ({
  name: 'all start, 503 if overloaded',
  clients,
  ms: HOUR,
  startOverMs: 0,
  longestQueueMs: SECOND,
});

export const loss = (clients: number): Scenario => ({
  name: 'a third lost for 1 h',
  clients,
  ms: 4 * HOUR,
  startOverMs: 10 * SECOND,
  lossShare: (ms) => (ms >= HOUR && ms < 2 * HOUR ? 0.3 : 0),
});

const storageLost = (clients: number) => ({ clients, ms: 2 * HOUR, startOverMs: 10 * SECOND, forgetsAtMs: HOUR });

/** Vault comes back with empty storage after an hour; each client asks every minute whether its token is known. */
export const forgetting = (clients: number): Scenario => ({
  ...storageLost(clients),
  name: 'storage lost, checks each minute',
  checkIntervalMs: MINUTE,
});

/** Vault comes back with empty storage after an hour, while an application uses each client's token every second. */
export const denying = (clients: number): Scenario => ({
  ...storageLost(clients),
  name: 'storage lost, proxies in use',
  isInUse: true,
});

export const ofSidecars = (scenario: Scenario): Load => new Fleet(scenario, SEED).run(sidecar);
export const ofNaives = (scenario: Scenario): Load => new Fleet(scenario, SEED).run(naive);

/** The peak rate of requests over any span of that many seconds. */
export function peak(
  { arrivals }: Pick<Load, 'arrivals'>,
  seconds: number,
  [fromMs, toMs]: readonly [fromMs: number, toMs: number] = [0, Number.POSITIVE_INFINITY],
): number {
  const [from, to] = [Math.floor(fromMs / SECOND), Math.min(arrivals.length, toMs / SECOND)];
  let sum = 0;
  let most = 0;
  for (let second = from; second < to; second++) {
    sum += arrivals[second] ?? 0;
    if (second - from >= seconds) sum -= arrivals[second - seconds] ?? 0;
    most = Math.max(most, sum);
  }
  return most / seconds;
}

/** The most requests and logins in a second after the loss of all tokens. */
export function peaksAfterLoss(load: Load, { forgetsAtMs = 0 }: Scenario): { requests: number; logins: number } {
  const after = [forgetsAtMs, Number.POSITIVE_INFINITY] as const;
  return { requests: peak(load, 1, after), logins: peak({ arrivals: load.logins }, 1, after) };
}

export const total = ({ arrivals }: Load): number => arrivals.reduce((sum, count) => sum + count, 0);

interface Row {
  readonly scenario: Scenario;
  readonly sidecars: Load;
  readonly naives: Load;
}

/** Renders one line for each scenario and kind of client. */
export function table(rows: readonly Row[]): string {
  const head = ['', 'clients', 'peak in 1 s', 'in 10 s', 'requests', 'all served', 'gaps'];
  const cells = rows.flatMap(({ scenario, sidecars, naives }) =>
    [sidecars, naives].map((load, index) => [
      scenario.name,
      `${scenario.clients} ${index === 0 ? 'sidecars' : 'naive'}`,
      `${peak(load, 1).toFixed(0)}/s`,
      `${peak(load, 10).toFixed(1)}/s`,
      String(total(load)),
      `${(load.allServedMs / SECOND).toFixed(0)} s`,
      `${load.gapSeconds} s`,
    ]),
  );
  const widths = head.map((_, column) => Math.max(...[head, ...cells].map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ');
  return [head, ...cells].map(line).join('\n');
}

/** Renders one line for each kind of client after the loss of all tokens. */
export function lossLines({ scenario, sidecars, naives }: Row): string {
  const lines = [sidecars, naives].map((load, index) => {
    const { requests, logins } = peaksAfterLoss(load, scenario);
    const kind = index === 0 ? 'sidecars' : 'naive';
    return `${kind}: ${requests} requests and ${logins} logins in 1 s, all served again after ${load.recoveredMs / SECOND} s`;
  });
  return [scenario.name, ...lines].join('\n  ');
}
