// The volume of the token is full: the sidecar keeps the old file, says so, and writes the new token as soon as there is space.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { until } from '../support/settling.ts';
import { isRunning, SIDECAR, sidecarOf } from './cluster.ts';
import { type Here, policiesOf } from './example-pod.ts';

/** Fills a file system, a page at a time. */
const FILL = `
const { appendFileSync } = require('node:fs');
try { for (;;) appendFileSync('/vault/filler', Buffer.alloc(4096)); } catch ({ code }) { console.log(code); }`;

export async function outlivesFullVolume(_t: TestContext, here: Here): Promise<void> {
  const { cluster } = here;
  await cluster.create('full', (pod) => pod);
  const before = await cluster.untilPod('full', 'the application runs', isRunning);
  const token = () => cluster.token('full');
  const old = await token();
  const node = (script: string) => cluster.exec('full', SIDECAR, '/nodejs/bin/node', '-e', script);
  assert.equal(await node(FILL), 'ENOSPC\n');
  await cluster.command('full', 'refresh');
  const log = () => cluster.logs('full', SIDECAR);
  await until('the write fails', async () => /sink_no_space.*no space left/.test(await log()), 60_000);
  assert.equal(await token(), old, 'the old file is whole');
  await node("require('node:fs').unlinkSync('/vault/filler')");
  const fresh = await until('another token', async () => (await token()) !== old && token(), 60_000);
  assert.deepEqual(await policiesOf(here, fresh), ['default', 'my-app']);
  assert.equal(sidecarOf(await cluster.pod('full'))?.containerID, sidecarOf(before)?.containerID);
  await cluster.remove('full');
}
