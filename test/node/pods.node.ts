// Pods with the sidecar on a Kubernetes node with kubelet and containerd, against a real Vault: the example of deploy/kubernetes
// from its start to its end, then faults, Jobs and other ways to deploy it.

import { test } from 'node:test';
import { reloads, rollsOut } from './config-change.ts';
import { cronJobSucceeds, graceIsUsedUp, isDrained, isEvicted, jobFails, jobSucceeds } from './endings.ts';
import { example, openHere } from './example-pod.ts';
import { hangs, isMeasured, runsOutOfMemory } from './faults.ts';
import { outlivesFullVolume } from './full-volume.ts';
import { installsByHelm } from './helm.ts';
import { injected } from './injected.ts';
import { proxied } from './proxied.ts';
import { isTimed } from './timeline.ts';
import { twoExchanges } from './two-exchanges.ts';
import { upgradesAlone } from './upgrade.ts';
import { followsEmptyVault, outlivesSealedVault } from './vault-faults.ts';

const SCENARIOS = {
  'a sidecar that hangs is replaced, and the application goes on': hangs,
  'the memory limit leaves room for status and doctor': isMeasured,
  'a sidecar that runs out of memory says so in the status of its pod': runsOutOfMemory,
  'a Job that succeeds': jobSucceeds,
  'a Job that fails': jobFails,
  'a CronJob': cronJobSucceeds,
  'pods that the policy injected, with different users': injected,
  'a chart with the library': installsByHelm,
  'an application without a token': proxied,
  'an upgrade of the sidecar alone': upgradesAlone,
  'a full volume': outlivesFullVolume,
  'a pod that kubelet evicts': isEvicted,
  'a changed ConfigMap applies at SIGHUP': reloads,
  'a pod with two exchanges': twoExchanges,
};

test('pods on a Kubernetes node', { concurrency: 4 }, async (t) => {
  const here = await openHere(t);
  await t.test('the example', (t) => example(t, here));
  await t.test('the life of a pod', (t) => isTimed(t, here));
  await here.applyJobs();
  // some together, since these wait most of the time
  await Promise.all(Object.entries(SCENARIOS).map(([name, scenario]) => t.test(name, (t) => scenario(t, here))));
  // alone, since a sidecar that stops allows Vault a second, and kubelet allows the sidecar two
  await t.test('a pod that is drained', (t) => isDrained(t, here));
  await t.test('the sidecar ends in time after an application that used up the grace period, while Vault hangs', (t) =>
    graceIsUsedUp(t, here),
  );
  await t.test('a sealed Vault leaves the pods their tokens', (t) => outlivesSealedVault(t, here));
  await t.test('an empty Vault in place of the old one gets a login by refresh', (t) => followsEmptyVault(t, here));
  await t.test('a changed config replaces the pods', (t) => rollsOut(t, here));
});
