// The life of a pod, measured: its start, a new JWT, its end. docs/kubernetes-pods.md shows the times, drawn by timeline-plot.ts.
// REWRITE_TIMELINE=1 redraws them.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { until } from '../support/settling.ts';
import { appOf, isRunning, SIDECAR } from './cluster.ts';
import type { Change } from './example.ts';
import { type Here, hasEnded } from './example-pod.ts';
import { createConfigured, kept, withApp } from './pod-changes.ts';
import { drawTimeline, type Phase } from './timeline-plot.ts';

const PLOT = new URL('timeline.svg', import.meta.url);
const NAME = 'timed';
const SCRIPT = "echo starts; trap 'echo ends; exit 0' TERM; sleep 3600 & wait $!";

export async function isTimed(t: TestContext, here: Here): Promise<void> {
  const { cluster, node } = here;
  const debug: Change = (config) => Object.assign(config, { log: { level: 'debug' } });
  const at = { created: Date.now(), kubeletEnds: 0, deleted: 0 };
  await createConfigured(here, NAME, debug, withApp({ command: ['sh', '-c', SCRIPT] }), kept);
  await cluster.untilPod(NAME, 'the application runs', isRunning);
  at.kubeletEnds = Date.now();
  await node.restartKubelet();
  // the log isn't readable without kubelet
  const written = async () => (await eventsOf(here).catch(() => [])).filter(isEvent('sink_written')).length;
  await until('another token', async () => (await written()) === 2, 60_000);
  // to the end, since kubelet removes the logs soon after it
  const logs = Promise.all([SIDECAR, 'app'].map((container) => linesOf(here, container, '--follow')));
  at.deleted = Date.now();
  await cluster.remove(NAME);
  const ended = await cluster.untilPod(NAME, 'all containers have ended', hasEnded);
  assert.equal(appOf(ended)?.state.terminated?.exitCode, 0);
  const [sidecar = [], app = []] = await logs;
  await cluster.patch(NAME, { metadata: { finalizers: null } });

  const time = (event: string, nth = 0) => sidecar.filter(isEvent(event))[nth]?.at ?? Number.NaN;
  const said = (word: string) => app.find(({ text }) => text === word)?.at ?? Number.NaN;
  const phases: Phase[] = [
    {
      title: 'Start',
      from: at.created,
      marks: [
        { lane: 'kubelet', at: at.created, text: 'the pod is created' },
        { lane: 'sidecar', at: time('starting'), text: 'starts' },
        { lane: 'sidecar', at: time('sink_written'), text: 'token' },
        { lane: 'application', at: said('starts'), text: 'starts' },
      ],
    },
    {
      title: 'Rotation, forced by a restart of kubelet',
      from: at.kubeletEnds,
      marks: [
        { lane: 'kubelet', at: at.kubeletEnds, text: 'restarts' },
        { lane: 'sidecar', at: time('jwt_changed', 1), text: 'new JWT' },
        { lane: 'sidecar', at: time('sink_written', 1), text: 'new token' },
      ],
    },
    {
      title: 'End',
      from: at.deleted,
      marks: [
        { lane: 'kubelet', at: at.deleted, text: 'the pod is deleted' },
        { lane: 'application', at: said('ends'), text: 'ends' },
        { lane: 'sidecar', at: time('stopping'), text: 'ends' },
      ],
    },
  ];
  for (const { title, from, marks } of phases) {
    const times = marks.map(({ lane, text, at }) => `${lane} ${text} ${at - from} ms`);
    t.diagnostic(`${title}: ${times.join(', ')}`);
    const sorted = marks.map(({ at }) => at);
    assert.ok(sorted.every(Number.isFinite), title);
    assert.deepEqual(
      sorted,
      sorted.toSorted((a, b) => a - b),
      `${title}: in this order`,
    );
  }
  if (process.env['REWRITE_TIMELINE'] !== undefined) writeFileSync(PLOT, drawTimeline(phases));
}

interface Line {
  /** milliseconds since 1970 */
  readonly at: number;
  readonly text: string;
}

async function linesOf({ cluster }: Here, container: string, ...flags: readonly string[]): Promise<readonly Line[]> {
  const log = await cluster.kubectl('logs', NAME, '--container', container, '--timestamps', ...flags);
  const lines = log.trim().split('\n');
  return lines.map((line) => ({
    at: Date.parse(line.slice(0, line.indexOf(' '))),
    text: line.slice(line.indexOf(' ') + 1),
  }));
}

const eventsOf = (here: Here): Promise<readonly Line[]> => linesOf(here, SIDECAR);

const isEvent =
  (event: string) =>
  ({ text }: Line): boolean =>
    text.includes(`"event":"${event}"`);
