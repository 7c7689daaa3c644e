// The progress of wait: a line on a terminal, nothing elsewhere.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { command as wait } from '../../src/commands/wait.ts';
import { listenOn } from '../../src/dev/listen.ts';
import { invoke } from '../support/invoke.ts';
import { runToEnd, sidecarInShell } from '../support/program.ts';

test('shows why the sidecar is not ready, and removes the line at the end', async (t) => {
  const replies = [
    { status: 503, body: { ready: false, reasons: ['app: no \u001b[31mtoken'] } },
    { status: 200, body: { ready: true } },
  ];
  const server = await listenOn({}, () => replies.shift() ?? { status: 500, body: '' });
  t.after(() => server.close());
  const shown: string[] = [];
  const { code, err } = await invoke(wait, { ops: server.url }, { progress: (text) => shown.push(text) });
  assert.deepEqual([code, err], [0, '']);
  assert.deepEqual(shown, ['waiting for 0 s: app: no \ufffd[31mtoken', '']);
});

test('redraws the line on a terminal', async () => {
  const command = `exec ${sidecarInShell()} wait --ops http://127.0.0.1:1 --timeout 500ms`;
  const { out } = await runToEnd(['script', '--quiet', '--return', '--command', command, '/dev/null']);
  const [line, clear] = ['\r\u001b[Kwaiting for 0 s: no sidecar answers at http://127.0.0.1:1', '\r\u001b[K'];
  assert.ok(out.startsWith(line), JSON.stringify(out));
  const end = `${clear}the sidecar isn't ready: no sidecar answers at http://127.0.0.1:1\r\n`;
  assert.ok(out.endsWith(end), JSON.stringify(out));
});
