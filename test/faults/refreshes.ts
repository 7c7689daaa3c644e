// A program for resources.fault.ts, run with --expose-gc: ten thousand refreshes of real exchanges, with real calls and
// files, on a clock that runs four hundred times as fast. Prints the handles, timers, listeners and memory in use after
// the first thousand refreshes, and after ten thousand more, as JSON.

import { readdirSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openIssuer } from '../../src/dev/issuer.ts';
import { openDevVault } from '../../src/dev/vault.ts';
import { openExchanges } from '../../src/exchange/exchanges.ts';
import type { Clock } from '../../src/exchange/runner.ts';
import { openObserver } from '../../src/observe/observe.ts';
import { REAL_PORTS } from '../../src/real-ports.ts';
import { until } from '../support/settling.ts';
import { settingsOf } from '../support/sidecar.ts';

export interface Leftovers {
  readonly handles: number;
  /** Node's own timers; the exchanges' are disarmed while the clock is held */
  readonly timers: number;
  /** wake-ups that wait for the clock */
  readonly armed: number;
  readonly descriptors: number;
  readonly listeners: number;
  readonly heapMiB: number;
}

const EXCHANGES = 40;
const LEASE_SECONDS = 60;
const SPEED = 400;

/** A clock that runs SPEED times as fast. While it is held, no time passes and no timer fires. */
function openFastClock() {
  const armed = new Map<() => void, { readonly at: number; timer: NodeJS.Timeout | undefined }>();
  let [passed, since, isHeld] = [Date.now(), performance.now(), false];
  const now = () => passed + (isHeld ? 0 : (performance.now() - since) * SPEED);
  function arm(wake: () => void, at: number): void {
    const fire = () => {
      armed.delete(wake);
      wake();
    };
    const timer = isHeld ? undefined : setTimeout(fire, Math.max(1, Math.ceil((at - now()) / SPEED)));
    armed.set(wake, { at, timer });
  }
  const clock: Clock = {
    now,
    wall: now,
    random: Math.random,
    wakeAt(at, wake) {
      // the same function may be armed twice
      const once = () => wake();
      arm(once, at);
      return () => {
        clearTimeout(armed.get(once)?.timer);
        armed.delete(once);
      };
    },
  };
  return {
    ...clock,
    hold() {
      passed = now();
      isHeld = true;
      for (const one of armed.values()) clearTimeout(one.timer);
    },
    goOn() {
      since = performance.now();
      isHeld = false;
      for (const [wake, { at }] of [...armed]) arm(wake, at);
    },
    armed: () => armed.size,
  };
}

// in memory: on a disk, fsync would take most of the time
const directory = await mkdtemp(join('/dev/shm', 'vault-token-sidecar-test-'));
const clock = openFastClock();
const issuer = await openIssuer();
const vault = await openDevVault({ now: clock.wall });
vault.trust({ issuer: issuer.issuer, role: 'app', settings: { token_ttl: LEASE_SECONDS, token_max_ttl: 600 } });
// not in the JWT's directory, which every exchange watches
await mkdir(join(directory, 'sinks'));
await writeFile(join(directory, 'jwt'), await issuer.mint({ ttlSeconds: 40 * 86_400 }));
const exchanges = Object.fromEntries(
  Array.from({ length: EXCHANGES }, (_, index) => [
    `e${index}`,
    {
      source: { file: { path: join(directory, 'jwt') } },
      login: { role: 'app' },
      sinks: [{ file: { path: join(directory, 'sinks', `token-${index}`), format: 'json' } }],
    },
  ]),
);
let refreshes = 0;
const observer = openObserver({
  version: '0',
  nodeVersion: '0',
  nodeMetrics: false,
  level: 'debug',
  target: (line) => {
    if (/"event":"(logged_in|renewed)"/.test(line)) refreshes += 1;
  },
});
const served = openExchanges(settingsOf({ vault: { address: vault.url }, exchanges }).exchanges, {
  clock,
  observer,
  env: {},
  ports: REAL_PORTS,
});

/** Measures once all work in flight has ended. */
async function measure(): Promise<Leftovers> {
  clock.hold();
  let [before, same] = ['', 0];
  await until('everything under way has ended', () => {
    const now = process.getActiveResourcesInfo().sort().join();
    same = now === before ? same + 1 : 0;
    before = now;
    // unchanged for a second: a closed connection may linger that long
    return same > 200;
  });
  for (let round = 0; round < 3; round += 1) globalThis.gc?.();
  const resources = process.getActiveResourcesInfo();
  const timers = resources.filter((kind) => kind === 'Timeout').length;
  const found = {
    handles: resources.length - timers,
    timers,
    armed: clock.armed(),
    descriptors: readdirSync('/proc/self/fd').length,
    listeners: process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0),
    heapMiB: process.memoryUsage().heapUsed / 2 ** 20,
  };
  clock.goOn();
  return found;
}

try {
  await until('a thousand refreshes', () => refreshes >= 1000, 60_000);
  const first = await measure();
  await until('ten thousand more', () => refreshes >= 11_000, 120_000);
  const last = await measure();
  process.stdout.write(JSON.stringify({ first, last }));
} finally {
  await served.close();
  await Promise.all([issuer.close(), vault.close()]);
  await rm(directory, { recursive: true });
}
