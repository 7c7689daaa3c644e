// Fifty pods with sidecars that start, rotate and end at once, against one real Vault; beside them fifty sidecars and fifty Vault
// Agents as plain processes with the same memory limit.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../support/settling.ts';
import { openAuditWindow } from './audit-window.ts';
import { isRunning } from './cluster.ts';
import { LABEL, openHere } from './example-pod.ts';
import { podFleet } from './fleet-pods.ts';
import { agent, sidecar, startMany } from './fleet-processes.ts';

const COUNT = 50;

test('fifty at once', async (t) => {
  const here = await openHere(t);
  await here.apply();
  await here.setup();
  // without a pod of its own, whose logins would be counted too
  await here.cluster.kubectl('scale', 'deployment/my-app', '--replicas=0');
  await until('the Deployment has no pod', async () => (await here.cluster.pods(LABEL)).length === 0, 90_000);
  const requests = openAuditWindow(here.vault);
  const rows: string[] = [];
  const say = (what: string, ...figures: readonly string[]) => rows.push(`${what}: ${figures.join(', ')}`);
  const fleet = podFleet(here, COUNT);
  const assertLogins = async (logins: number, ofEach: number) => {
    if (logins !== COUNT) assert.fail(`${logins} logins\n${await fleet.story(ofEach)}`);
  };

  for (const [name, kind] of Object.entries({ sidecars: sidecar, 'Vault Agents': agent })) {
    await t.test(`${name} as processes`, async (t) => {
      const from = requests.open();
      const { readyMs, pssMiB } = await startMany(t, here, COUNT, kind);
      const { peak } = requests.since(from);
      say(`${COUNT} ${name} as processes`, spread('token', readyMs), `at most ${peak} requests/s`, memoryOf(pssMiB));
    });
  }
  await t.test('pods with sidecars become ready, with one login each', async () => {
    const from = requests.open();
    const readyMs = await fleet.start();
    const { logins, peak } = requests.since(from);
    say(
      `${COUNT} pods with sidecars`,
      spread('ready', readyMs),
      `at most ${peak} requests/s`,
      memoryOf(await fleet.pssMiB()),
    );
    await assertLogins(logins, 1);
  });
  await t.test('a restart of kubelet rotates all tokens, with one login each', async () => {
    const from = requests.open();
    const rotatedMs = await fleet.rotate();
    const { logins, peak } = requests.since(from);
    say('another token after a restart of kubelet', spread('in the files', rotatedMs), `at most ${peak} requests/s`);
    await assertLogins(logins, 2);
    assert.ok((await fleet.pods()).every(isRunning));
  });
  await t.test('deleted pods end', async () => {
    const { tookMs, codes } = await fleet.end();
    say('deletion of all', `${seconds(tookMs)} s`);
    assert.deepEqual(new Set(codes), new Set([0]));
  });
  for (const row of rows) t.diagnostic(row);
});

const sum = (list: readonly number[]): number => list.reduce((total, one) => total + one, 0);
const seconds = (ms: number): string => (ms / 1000).toFixed(1);

function spread(what: string, times: readonly number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  return `${what} after ${seconds(sorted[0] ?? Number.NaN)} to ${seconds(sorted.at(-1) ?? Number.NaN)} s`;
}

const memoryOf = (pssMiB: readonly number[]): string =>
  `${sum(pssMiB).toFixed()} MiB in all, ${(sum(pssMiB) / pssMiB.length).toFixed(1)} each`;
