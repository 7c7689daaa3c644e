// Draws the plan of a seed.

import type { ExchangeSettings, FileSinkSettings, SourceSettings } from '../../src/core/settings.ts';
import { type Chance, chanceOf, seededRandom } from '../support/random.ts';
import { KINDS } from './faults.ts';
import { DAY, type Fault, HOUR, MINUTE, type Plan, SECOND, type Setup } from './plan.ts';

/** Every month has this fault at least once: lost results find the most bugs. */
const LOST = 'results are lost';

/** Some faults of a month come alone, some overlap; most are short. */
const MEAN_PAUSE_MS = 26 * HOUR;
const LONG_SHARE = 1 / 6;
const MOSTLY_MS = HOUR;

export function drawPlan(seed: number, days = 30): Plan {
  const chance = chanceOf(seededRandom(seed));
  const setup = drawSetup(chance);
  const faults: Fault[] = [];
  let nextMs = chance.spread(SECOND, HOUR);
  const names = Object.keys(KINDS);
  while (nextMs < (days - 1) * DAY) {
    const together = chance.pick([1, 1, 1, 2, 3]);
    let endMs = nextMs;
    for (let one = 0; one < together; one++) {
      const name = chance.pick(names);
      const { lasts, draw } = KINDS[name] as (typeof KINDS)[string];
      const fault = {
        id: faults.length + 1,
        kind: name,
        atMs: nextMs,
        forMs: drawLength(chance, lasts),
        args: draw(chance, setup),
      };
      faults.push(fault);
      endMs = Math.max(endMs, nextMs + fault.forMs);
      nextMs += chance.spread(SECOND, 10 * MINUTE);
    }
    nextMs = Math.max(nextMs, endMs) - Math.round(Math.log(1 - chance.random()) * MEAN_PAUSE_MS);
  }
  const lasts = KINDS[LOST]?.lasts ?? [0, 0];
  const atMs = chance.spread(HOUR, (days - 1) * DAY);
  const lost = { id: faults.length + 1, kind: LOST, atMs, forMs: drawLength(chance, lasts), args: { share: 0.1 } };
  return { seed, days, setup, faults: [...faults, lost].sort((a, b) => a.atMs - b.atMs) };
}

function drawLength(chance: Chance, [shortest, longest]: readonly [number, number]): number {
  const most = chance.random() < LONG_SHARE ? longest : Math.max(shortest, Math.min(longest, MOSTLY_MS));
  return chance.spread(shortest, most);
}

function drawSetup(chance: Chance): Setup {
  const [jwtLifeMs, rotationMs] = chance.pick([
    [HOUR, 45 * MINUTE],
    [HOUR, 48 * MINUTE],
    [8 * HOUR, 6 * HOUR],
    [24 * HOUR, 12 * HOUR],
  ] as const);
  const vaults = ['https://vault-a.test:8200', 'https://vault-b.test:8200'].map((address) => ({
    address,
    ttlMs: chance.pick([5 * MINUTE, HOUR, HOUR, HOUR, 2 * HOUR, 4 * HOUR, 24 * HOUR]),
    maxTtlMs: chance.pick([3 * HOUR, 72 * HOUR, 768 * HOUR, 768 * HOUR]),
    tokenType: chance.pick(['service', 'service', 'service', 'batch'] as const),
  }));
  const names = chance.pick([['app'], ['app'], ['app'], ['app', 'batch'], ['app', 'batch', 'cron']]);
  return { vaults, exchanges: names.map((name) => drawExchange(chance, name, names)), jwtLifeMs, rotationMs };
}

function drawExchange(chance: Chance, name: string, names: readonly string[]): ExchangeSettings {
  const address = chance.pick(['https://vault-a.test:8200', 'https://vault-a.test:8200', 'https://vault-b.test:8200']);
  const vault = { address, tls: { caFile: '/ca/ca.pem' }, timeoutMs: 15_000, redirectHosts: [], useProxyEnv: false };
  const formats = chance.pick([[], [], ['raw'], ['raw'], ['raw', 'json', 'env']] as const);
  const sinks = formats.map(
    (format): FileSinkSettings => ({ kind: 'file', path: `/vault/${name}.${format}`, mode: 0o640, format }),
  );
  const [first = ''] = names;
  const fed = name !== first && chance.random() < 0.4;
  const source: SourceSettings = fed
    ? { kind: 'vault-identity', vault: { ...vault, address: 'unknown yet' }, role: name, token: { exchange: first } }
    : { kind: 'file', path: `/jwt/${name}`, pollIntervalMs: chance.pick([10_000, 10_000, 60_000, 1_800_000]) };
  return {
    ...{ name, vault, source, expect: {}, sinks },
    login: { mount: 'jwt', role: `${name}#0` },
    onNewJwt: chance.pick(['login', 'login', 'when-needed']),
    onStop: chance.pick(['keep', 'keep', 'revoke']),
    onStart: formats.some((format) => format === 'json') ? chance.pick(['login', 'reuse', 'reuse']) : 'login',
    onReplace: chance.pick(['keep', 'keep', 'revoke']),
    revokeDelayMs: 30_000,
    checkIntervalMs: chance.pick([0, 0, MINUTE, 10 * MINUTE]),
  };
}
