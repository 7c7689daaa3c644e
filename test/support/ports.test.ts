// Reserved ports never collide with those of other test processes or with ephemeral ports.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { reservePorts } from './ports.ts';
import { scopeOf } from './scope.ts';

const RESERVE = `
  import { reservePorts } from './test/support/ports.ts';
  const ports = [];
  for (let n = 0; n < 40; n += 1) ports.push(await reservePorts(2));
  process.stdout.write(JSON.stringify(ports));
  process.stdin.resume();`;

/** Reserves forty pairs in a process that lives until the test ends. */
async function reserveElsewhere(t: TestContext): Promise<number[]> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', RESERVE], { stdio: ['pipe', 'pipe', 'inherit'] });
  scopeOf(t).after(() => child.kill('SIGKILL'));
  const [text] = await once(child.stdout, 'data');
  return JSON.parse(String(text));
}

test("reserves each port for one process, outside the kernel's ephemeral range", async (t) => {
  const pairs = await Promise.all([reservePorts(2), reservePorts(2)]);
  for (const other of await Promise.all([1, 2, 3].map(() => reserveElsewhere(t)))) pairs.push(...other);
  const ports = pairs.flatMap((first) => [first, first + 1]);
  assert.equal(new Set(ports).size, 2 * (2 + 3 * 40));
  const [low = 0, high = 0] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/).map(Number);
  for (const port of ports) assert.ok(port < low || port > high, `${port} is in ${low}-${high}`);
});
