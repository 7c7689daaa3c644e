// Runs all scenarios of the fleet: prints the table, checks the bounds for a thousand sidecars, and redraws the plot of
// docs/performance.md, which is compared with the file, or written.

import { readFileSync, writeFileSync } from 'node:fs';
import { drawPlot } from './fleet-plot.ts';
import {
  denying,
  forgetting,
  jitteredStart,
  keyRotation,
  largerQuota,
  loss,
  lossLines,
  ofNaives,
  ofSidecars,
  outage,
  overload,
  peak,
  peaksAfterLoss,
  quota,
  startTogether,
  table,
  total,
} from './fleet-scenarios.ts';
import { HOUR, MINUTE, SECOND } from './plan.ts';

const CLIENTS = 1000;
const SEALED_HOURS = 24;
/** without the first second, in which all clients start */
const AFTER_START = [SECOND, HOUR] as const;
const PLOT = new URL('fleet.svg', import.meta.url);

export interface FleetReport {
  readonly text: string;
  /** the bounds that were exceeded */
  readonly broken: readonly string[];
}

export function reportFleet(writesPlot: boolean): FleetReport {
  const scenarios = [
    ...[startTogether, sealedForADay, keyRotation, quota, loss],
    ...[largerQuota, jitteredStart, overload, forgetting, denying],
  ].map((of) => of(CLIENTS));
  const rows = scenarios.map((scenario) => {
    return { scenario, sidecars: ofSidecars(scenario), naives: ofNaives(scenario) };
  });
  const [start, sealed, keys, limited, lossy, roomier, jittered, overloaded, forgotten, denied] = rows;
  if (!start || !sealed || !keys || !limited || !lossy) throw new Error('a scenario is missing');
  if (!roomier || !jittered || !overloaded || !forgotten || !denied) throw new Error('a scenario is missing');
  const [from = 0, to = 0] = sealed.scenario.outage ?? [];
  const atHeal = peak(sealed.sidecars, 10, [to - 10 * MINUTE, to + 2 * HOUR]);
  const plot = drawPlot({
    title: '1,000 clients, and a Vault that is sealed for 24 hours',
    ...sealed,
    outage: [from, to],
    capacity: 100,
  });
  if (writesPlot) writeFileSync(PLOT, plot);
  const bounds: Readonly<Record<string, boolean>> = {
    'at recovery at most 3 requests a second for each 100 clients, over ten seconds (D15)':
      atHeal <= (3 * CLIENTS) / 100,
    'no second of the outage has more requests than Vault can serve (D15)': peak(sealed.sidecars, 1, [from, to]) <= 100,
    '30 times fewer requests than from naive clients (D15)': total(sealed.sidecars) * 30 < total(sealed.naives),
    'no token expires while a third of all calls is lost (D16)': lossy.sidecars.gapSeconds === 0,
    'no token expires while keys rotate (C9)': keys.sidecars.gapSeconds === 0,
    '20 times fewer requests than from naive clients (C9)': total(keys.sidecars) * 20 < total(keys.naives),
    'under a quota all clients have a token within five minutes (C7)': limited.sidecars.allServedMs <= 5 * MINUTE,
    'under a quota three times fewer requests than from naive clients (C7)':
      total(limited.sidecars) * 3 < total(limited.naives),
    'clients that all start at once have a token as soon as Vault can serve them':
      start.sidecars.allServedMs <= 15 * SECOND,
    'a start under a quota of 100/s has no second wave, and all have a token within 30 s (C7)':
      peak(roomier.sidecars, 1, AFTER_START) <= 125 && roomier.sidecars.allServedMs <= 30 * SECOND,
    'with start_jitter Vault refuses nothing, and all have a token within it':
      jittered.sidecars.refused === 0 && jittered.sidecars.allServedMs <= 61 * SECOND,
    'a start that overloads Vault has no second wave, and all have a token within 30 s (C8)':
      peak(overloaded.sidecars, 1, [2 * SECOND, HOUR]) <= 200 && overloaded.sidecars.allServedMs <= 30 * SECOND,
    'after a loss of the storage, checks each minute lead to no wave of logins':
      peak(forgotten.sidecars, 10, [HOUR, HOUR + 5 * MINUTE]) <= 60 && forgotten.sidecars.recoveredMs <= 70 * SECOND,
    'after a loss of the storage, proxies in use log in over three seconds, and all have a token within 15 s (L4)':
      peaksAfterLoss(denied.sidecars, denied.scenario).logins <= 400 && denied.sidecars.recoveredMs <= 15 * SECOND,
    'the plot is the one in docs/performance.md (SIMULATION_PLOT=write redraws it)': readPlot() === plot,
  };
  const text = [
    table(rows),
    `at recovery: ${atHeal.toFixed(1)} requests a second over ten seconds`,
    ...[forgotten, denied].map(lossLines),
  ].join('\n');
  return { text, broken: Object.keys(bounds).filter((bound) => bounds[bound] === false) };
}

const sealedForADay = (clients: number) => outage(clients, SEALED_HOURS);

function readPlot(): string | undefined {
  try {
    return readFileSync(PLOT, 'utf8');
  } catch {
    return undefined;
  }
}
