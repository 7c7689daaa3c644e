// From the start of the process to the first token in the file, from source and from the bundle, in turns; and the memory
// of each when idle. Build the bundle first: npm run build.

import { spawn } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { NODE_FLAGS } from '../support/node-flags.ts';
import { figures, openBench, residentMemory, untilChanged } from './set-up.ts';

const RUNS = 10;
const SETTLE_MS = 2000;
const ENTRIES = { source: 'src/main.ts', bundle: 'dist/vault-token-sidecar.mjs' } as const;

const bench = await openBench(1);
const [place] = bench.places;
if (place === undefined) throw new Error('no place');
await writeFile(join(place.jwtDirectory, 'token'), await bench.issuer.mint());

const times: Record<string, number[]> = { source: [], bundle: [], node: [] };
const memory: Record<string, string> = {};
for (let run = 0; run < RUNS; run++) {
  times['node']?.push(await emptyNode());
  for (const [name, entry] of Object.entries(ENTRIES)) {
    await rm(place.tokenFile, { force: true });
    const startedAt = performance.now();
    const child = spawn(process.execPath, [...NODE_FLAGS, entry, 'run', '--config', bench.configFile], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    await untilChanged(place.tokenFile, undefined);
    times[name]?.push(performance.now() - startedAt);
    await pause(SETTLE_MS);
    memory[name] = await residentMemory(child.pid);
    child.kill('SIGTERM');
    await new Promise((resolve) => child.once('exit', resolve));
  }
}
await bench.close();
for (const [name, samples] of Object.entries(times)) {
  console.log(
    `start to first token in the file, ${name.padEnd(7)} ${figures(samples)}${memory[name] === undefined ? ' (empty program, to its exit)' : `  ${memory[name]}`}`,
  );
}

async function emptyNode(): Promise<number> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, ['-e', '0']);
  await new Promise((resolve) => child.once('exit', resolve));
  return performance.now() - startedAt;
}
