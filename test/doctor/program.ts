// Runs doctor as a process; a test can break the Node modules that it uses.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { Report } from '../../src/doctor/report.ts';
import { NODE_FLAGS } from '../support/node-flags.ts';
import { sidecarEntry } from '../support/program.ts';
import { temporaryDirectory } from '../support/temporary.ts';

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
  readonly seconds: number;
}

/** @param module source of a module that runs first in the same process, to break Node's modules */
export async function runProgram(
  t: TestContext,
  args: readonly string[],
  { env = {}, module }: { env?: Record<string, string>; module?: string } = {},
): Promise<Ended> {
  const entry = module === undefined ? sidecarEntry() : await brokenEntry(t, module);
  const startedAt = performance.now();
  const child = spawn(process.execPath, [...NODE_FLAGS, entry, ...args], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  return { code, out, err, seconds: (performance.now() - startedAt) / 1000 };
}

/** Writes an entry that runs the module and imports the program, since the program refuses Node's --import. */
async function brokenEntry(t: TestContext, module: string): Promise<string> {
  const file = join(await temporaryDirectory(t), 'broken.mjs');
  await writeFile(file, `${module}\nawait import(${JSON.stringify(pathToFileURL(sidecarEntry()).href)});\n`);
  return file;
}

export const reportsIn = (out: string): Report[] => (JSON.parse(out) as { reports: Report[] }).reports;
