// From a new JWT in its file to the new Vault token in its: 50 rotations against the in-memory Vault, half of them by
// rename, half by kubelet's swap, debounce included. Ten exchanges take turns, since one logs in every 5 s at most.
// With --vault: against a real Vault, beside `vault agent` (against-agent.ts).

import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { createProjectedVolume } from '../support/kubelet-volume.ts';
import { NODE_FLAGS } from '../support/node-flags.ts';
import { replaceByRename } from '../support/temporary.ts';
import { type BenchPlace, figures, openBench, untilChanged } from './set-up.ts';

const EXCHANGES = 10;
const ROUNDS = 5;
const LOGIN_GAP_MS = 5200;

if (process.argv.includes('--vault')) {
  await import('./against-agent.ts');
  process.exit();
}
const bench = await openBench(EXCHANGES);
const rotators = await Promise.all(bench.places.map(openRotator));
for (const rotate of rotators) await rotate(await bench.issuer.mint());
const child: ChildProcess = spawn(
  process.execPath,
  [...NODE_FLAGS, 'dist/vault-token-sidecar.mjs', 'run', '--config', bench.configFile],
  {
    stdio: ['ignore', 'ignore', 'inherit'],
  },
);
for (const { tokenFile } of bench.places) await untilChanged(tokenFile, undefined);

const samples: { rename: number[]; swap: number[] } = { rename: [], swap: [] };
for (let round = 0; round < ROUNDS; round++) {
  await pause(LOGIN_GAP_MS);
  for (const [index, { tokenFile }] of bench.places.entries()) {
    const before = await readFile(tokenFile, 'utf8');
    const jwt = await bench.issuer.mint();
    const startedAt = performance.now();
    await rotators[index]?.(jwt);
    await untilChanged(tokenFile, before);
    samples[index % 2 === 0 ? 'rename' : 'swap'].push(performance.now() - startedAt);
  }
}
child.kill('SIGTERM');
await bench.close();
console.log(`new JWT to new token in the file, rename:       ${figures(samples.rename)}`);
console.log(`new JWT to new token in the file, kubelet swap: ${figures(samples.swap)}`);
console.log(`new JWT to new token in the file, all:          ${figures([...samples.rename, ...samples.swap])}`);

/** Even places are rotated by rename, odd ones as kubelet does it. */
async function openRotator({ jwtDirectory }: BenchPlace, index: number): Promise<(jwt: string) => Promise<void>> {
  if (index % 2 === 1) {
    const volume = await createProjectedVolume(jwtDirectory);
    return (jwt) => volume.swap('token', jwt);
  }
  return (jwt) => replaceByRename(join(jwtDirectory, 'token'), jwt);
}
