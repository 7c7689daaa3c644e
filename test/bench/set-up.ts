// What the benchmarks share: an issuer, a Vault, exchanges with files of their own, and figures from samples.

import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openIssuer } from '../../src/dev/issuer.ts';
import { openDevVault } from '../../src/dev/vault.ts';

export interface BenchPlace {
  readonly name: string;
  readonly jwtDirectory: string;
  readonly tokenFile: string;
}

export async function openBench(count: number) {
  const directory = await mkdtemp(join(tmpdir(), 'vault-token-sidecar-bench-'));
  const issuer = await openIssuer();
  const vault = await openDevVault();
  vault.trust({ issuer: issuer.issuer, role: 'app' });
  const places: BenchPlace[] = [];
  for (let index = 0; index < count; index++) {
    const jwtDirectory = join(directory, `jwt-${index}`);
    await mkdir(jwtDirectory);
    places.push({ name: `e${index}`, jwtDirectory, tokenFile: join(directory, `token-${index}`) });
  }
  const exchanges = Object.fromEntries(
    places.map(({ name, jwtDirectory, tokenFile }) => [
      name,
      {
        source: { file: { path: join(jwtDirectory, 'token') } },
        login: { role: 'app' },
        sinks: [{ file: { path: tokenFile } }],
      },
    ]),
  );
  const config = {
    vault: { address: vault.url },
    exchanges,
    api: { listen: '127.0.0.1:0' },
    ops: { listen: '127.0.0.1:0' },
  };
  const configFile = join(directory, 'config.json');
  await writeFile(configFile, JSON.stringify(config));
  return {
    issuer,
    places,
    configFile,
    async close() {
      await Promise.all([issuer.close(), vault.close()]);
      await rm(directory, { recursive: true });
    },
  };
}

const LIMIT_MS = 15_000;

/** Looks every millisecond until the file holds something else than `before`; answers what. */
export async function untilChanged(path: string, before: string | undefined, limitMs = LIMIT_MS): Promise<string> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    if (performance.now() > deadline) throw new Error(`${path} didn't change within ${limitMs} ms`);
    const now = await readFile(path, 'utf8').catch(() => undefined);
    if (now !== undefined && now !== before) return now;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

export function figures(samples: readonly number[]): string {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number) =>
    (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN).toFixed(0);
  return `n ${sorted.length}  min ${at(0)}  p50 ${at(0.5)}  p95 ${at(0.95)}  max ${at(1)} ms`;
}

export async function residentMemory(pid: number | undefined): Promise<string> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const mebibytes = (name: string) => Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024);
  return `RSS ${mebibytes('VmRSS')} MiB, of it anonymous ${mebibytes('RssAnon')} MiB`;
}
