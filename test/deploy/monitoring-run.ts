// A run of minutes: a real Prometheus scrapes a sidecar whose parts fail one after another and recover. Each fault lasts until its
// alerts have fired for some seconds.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { scopeOf } from '../support/scope.ts';
import { until } from '../support/settling.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { type Alert, openPrometheus, type Prometheus } from './monitoring-prometheus.ts';
import { JWT_SECONDS, openMonitoredWorld } from './monitoring-world.ts';

export interface Fault {
  readonly name: string;
  /** epoch seconds */
  readonly from: number;
  readonly to: number;
  /** the alerts that it raises */
  readonly alerts: readonly string[];
}

export interface Run {
  readonly prometheus: Prometheus;
  readonly from: number;
  readonly to: number;
  readonly faults: readonly Fault[];
  /** all alerts that were seen firing */
  readonly fired: readonly Alert[];
  /** a scrape of the sidecar while it is healthy */
  readonly metrics: string;
}

export async function measureRun(t: TestContext): Promise<Run> {
  const world = await openMonitoredWorld(t);
  const { vault, front, broken, whole, writeJwt } = world;
  let sidecar = await world.start(broken);
  await world.start(whole);
  const prometheus = await openPrometheus(t, await shortened(t), [
    { ops: broken.ops, labels: { namespace: 'test', pod: 'web-0' } },
    { ops: whole.ops, labels: { namespace: 'test', pod: 'web-1' } },
  ]);
  const { fault, shows, faults, fired } = recorderOf(prometheus);
  await shows('both are scraped', 'up == 1', 2);
  const from = seconds();
  const client = setInterval(() => void world.beClient(), 250);
  scopeOf(t).after(() => clearInterval(client));
  await shows('a renewal', RENEWAL);
  const metrics = await (await fetch(`${broken.ops}/metrics`)).text();

  let expiry = Number.POSITIVE_INFINITY;
  const failHook = async () => {
    await world.hook.fail();
    expiry = await writeJwt(10);
  };
  await fault('the hook fails', ['VaultTokenHookFailing'], failHook, world.hook.mend);
  const expire = () => until('it expires', () => seconds() > expiry, 20_000);
  await fault('the JWT has expired', ['VaultTokenJwtStale'], expire, () => writeJwt(JWT_SECONDS));
  await fault("a sink's directory is missing", ['VaultTokenSinkFailing'], world.sink.remove, world.sink.restore);
  const { remove, write } = world.callerToken;
  await fault('the caller token is missing', ['VaultTokenCallerTokenUnreadable'], remove, write);
  await shows('a token in every sink', READY, 2);
  const unseal = async () => {
    await vault.unseal();
    // as the runbook says, instead of waiting for the end of the backoff
    sidecar.signal('SIGUSR2');
  };
  await fault('Vault is sealed', SEALED, () => vault.seal(), unseal);
  // within half a minute, if the budget for failed calls is spent
  await shows('a new token', READY, 2);
  const setClockBehind = (behind: number) => () => front.setClockBehind(behind);
  await fault("Vault's clock is 45 s behind", ['VaultTokenClockSkew'], setClockBehind(45), setClockBehind(0));
  await shows('the right clock', 'vault_token_sidecar_vault_clock_skew_seconds < 30', 2);
  const restart = async () => {
    sidecar = await world.start(broken);
  };
  await fault('the sidecar is stopped', ['VaultTokenSidecarDown'], () => sidecar.stop(), restart);
  await shows('no alert', 'ALERTS', 0);
  await shows('a renewal', RENEWAL);
  return { prometheus, from, to: seconds(), faults, fired, metrics };
}

const READY = 'vault_token_sidecar_ready == 1';
const RENEWAL = 'increase(vault_token_sidecar_vault_requests_total{pod="web-0",operation="renew",code="ok"}[10s]) > 0';
const SEALED = ['VaultTokenExpiring', 'VaultTokenExpired', 'VaultTokenExchangeFailing'];

type Step = () => unknown;

/**
 * Writes the rules with shorter times: alerts wait two seconds instead of a minute. Ranges are three seconds instead of a minute,
 * since the sidecar's backoff isn't shorter; thirty instead of an hour, since an alert over an hour should resolve within the run.
 * @returns the file
 */
async function shortened(t: TestContext): Promise<string> {
  const rules = readFileSync('deploy/monitoring/alerts.yaml', 'utf8')
    .replaceAll(/ for: (\d+)m$/gm, (_, minutes) => ` for: ${2 * Number(minutes)}s`)
    .replaceAll(/\[(\d+)m\]/g, (_, minutes) => `[${3 * Number(minutes)}s]`)
    .replaceAll(/(\[|offset )1h/g, '$130s')
    .replaceAll('[1d]', '[720s]');
  assert.doesNotMatch(rules, /(for: |\[|offset )\d+[mhd]/);
  const file = join(await temporaryDirectory(t), 'alerts.yaml');
  await writeFile(file, rules);
  return file;
}

function recorderOf(prometheus: Prometheus) {
  const faults: Fault[] = [];
  const fired: Alert[] = [];

  /** Waits until the query has so many series. */
  const shows = (what: string, expression: string, count = 1) =>
    until(
      `Prometheus shows ${what}`,
      async () => {
        // a gentle poll, since Prometheus scrapes once a second
        await pause(100);
        return (await prometheus.query(expression)).length === count;
      },
      60_000,
    );

  /** Begins a fault, and ends it when its alerts have fired for three seconds. */
  async function fault(name: string, alerts: readonly string[], begin: Step, end: Step): Promise<void> {
    await begin();
    const from = seconds();
    const firing = `ALERTS{alertstate="firing",alertname=~"${alerts.join('|')}"}`;
    await shows(`${alerts}`, `count_over_time(${firing}[1m]) > 3`, alerts.length);
    fired.push(...(await prometheus.alerts()).filter(({ state }) => state === 'firing'));
    await end();
    faults.push({ name, from, to: seconds(), alerts });
  }
  return { faults, fired, shows, fault };
}

const seconds = (): number => Date.now() / 1000;
