// npm run soak: runs the bundle with a small heap at 2-second leases while JWTs rotate, Vault has outages, clients
// request tokens and Prometheus scrapes. One process runs throughout, another is killed repeatedly. SOAK_MINUTES (5)
// sets the duration. The resources of the first process must stay flat, and no secret may appear in the output of
// either.

import assert from 'node:assert/strict';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { openIssuer } from '../../src/dev/issuer.ts';
import { type DevVault, openDevVault } from '../../src/dev/vault.ts';
import { reservePort } from '../support/ports.ts';
import { cpuMs, procText } from '../support/proc.ts';
import { sidecarEntry } from '../support/program.ts';
import { openScope, type Scope } from '../support/scope.ts';
import { replaceByRename, temporaryDirectory } from '../support/temporary.ts';
import { type Canaries, openCanaries } from './canaries.ts';
import { type SidecarProcess, startSidecar } from './sidecar-process.ts';
import { figures, judge, type Sample, sampleOf } from './soak-figures.ts';

const NAMES = ['raw', 'json', 'env', 'when-needed', 'two-sinks', 'refused'];

export interface SoakResult {
  readonly table: string;
  /** resources that grew and secrets that were shown; empty if there are none */
  readonly problems: readonly string[];
}

export async function soak(seconds: number): Promise<SoakResult> {
  const scope = openScope();
  try {
    return await run(scope, seconds);
  } finally {
    await scope.end();
  }
}

async function run(scope: Scope, seconds: number): Promise<SoakResult> {
  const directory = await temporaryDirectory(scope);
  // a copy, so that a build during the soak doesn't change the program that is restarted after each kill
  const entry = await copyOfProgram(join(directory, 'dist'));
  const issuer = await openIssuer();
  const vault = await openDevVault();
  scope.after(() => Promise.all([issuer.close(), vault.close()]));
  vault.trust({ issuer: issuer.issuer, role: 'app', settings: { token_ttl: 2 } });
  const canaries = openCanaries();
  const counts = { outages: 0, kills: 0, scrapes: 0, answers: 0 };
  const isOver = overAfter(seconds);

  const rotate = async () => {
    const jwt = await issuer.mint();
    canaries.add(jwt);
    await replaceByRename(join(directory, 'jwt'), jwt);
  };
  await rotate();
  const start = async (name: string) => {
    const place = await openPlace(directory, name, vault.url);
    return {
      ...place,
      start: () => startWatched(scope, place.configFile, { canaries, name, entry }),
    };
  };
  const [survivor, victim] = [await start('survivor'), await start('victim')];
  const living = await survivor.start();
  const samples: Sample[] = [];
  const cpuAtStart = cpuMs(living.pid);

  const diedEarly = living.ended.then((code) => assert.fail(`it exited early: ${code} ${living.err()}`));
  const life = Promise.all([
    every(1000, isOver, rotate),
    every(500, isOver, async () => {
      for (const { token } of vault.alive()) canaries.add(token);
      canaries.look();
    }),
    every(1000, isOver, async () => {
      const shown = await scrape(survivor.ops);
      counts.scrapes += 1;
      for (const [path, text] of Object.entries(shown)) canaries.shown(`survivor ${path}`, text);
      for (const file of ['cmdline', 'environ']) canaries.shown(`survivor /proc ${file}`, procText(living.pid, file));
      const sample = sampleOf(living.pid, shown['/metrics'] ?? '');
      if (sample !== undefined) samples.push(sample);
    }),
    every(100, isOver, async () => {
      if (await askForToken(survivor.api, canaries)) counts.answers += 1;
    }),
    harassVault(vault, isOver, counts),
    killAgainAndAgain(victim, { isOver, counts, canaries, intervalMs: Math.min(60_000, seconds * 200) }),
  ]);
  await Promise.race([life, diedEarly]);
  diedEarly.catch(() => {});
  vault.setFault(undefined);
  const cpuShare = (cpuMs(living.pid) - cpuAtStart) / (seconds * 10);
  const { code, tookMs } = await living.stop();
  for (const { token } of vault.alive()) canaries.add(token);
  canaries.look(true);
  const shown = canaries.counts();
  const logins = vault.requests.filter(({ path, status }) => path.endsWith('/login') && status === 200).length;
  const renewals = vault.requests.filter(({ path, status }) => path.endsWith('renew-self') && status === 200).length;
  const problems = [...judge(samples), ...canaries.found.map((where) => `a secret in ${where}`)];
  if (code !== 0 || tookMs > 5000) problems.push(`SIGTERM: ended with ${code} after ${Math.round(tookMs)} ms`);
  for (const count of [logins, renewals, counts.outages, counts.kills, counts.answers])
    if (count === 0) problems.push('one of the activities of the soak never happened');
  const table = [
    `${Math.round(seconds)} s, ${NAMES.length} exchanges at 2-second leases: ${logins} logins, ${renewals} renewals, ${counts.outages} outages,`,
    `${counts.kills} kills of the other process, ${counts.scrapes} scrapes, ${counts.answers} tokens handed out`,
    ...figures(samples),
    `processor              ${cpuShare.toFixed(1)} %`,
    `canaries               ${shown.secrets} secrets in ${(shown.bytes / 1e6).toFixed(1)} MB from ${shown.places} places: ${canaries.found.length} found`,
  ].join('\n');
  return { table, problems };
}

/** @returns the copy's entry file */
async function copyOfProgram(directory: string): Promise<string> {
  const entry = sidecarEntry();
  await cp(dirname(entry), directory, { recursive: true, filter: (path) => !/\.(map|deb)$/.test(path) });
  return join(directory, basename(entry));
}

interface Place {
  readonly configFile: string;
  readonly api: string;
  readonly ops: string;
}

async function openPlace(directory: string, name: string, vaultUrl: string): Promise<Place> {
  await mkdir(join(directory, name));
  const file = (sink: string, format: string) => ({ file: { path: join(directory, name, sink), format } });
  const exchange = (own: string) => ({
    source: { file: { path: join(directory, 'jwt') } },
    login: { role: own === 'refused' ? 'nobody' : 'app' },
    ...(own === 'when-needed' ? { on_new_jwt: own } : {}),
    sinks:
      own === 'two-sinks'
        ? [file('one', 'raw'), file('two', 'json')]
        : [file(own, own === 'json' || own === 'env' ? own : 'raw')],
  });
  const [api, ops] = [`127.0.0.1:${await reservePort()}`, `127.0.0.1:${await reservePort()}`];
  const config = {
    vault: { address: vaultUrl, timeout: '1s' },
    exchanges: Object.fromEntries(NAMES.map((own) => [own, exchange(own)])),
    api: { listen: api },
    ops: { listen: ops, node_metrics: true },
    log: { level: 'trace' },
  };
  const configFile = join(directory, `${name}.json`);
  await writeFile(configFile, JSON.stringify(config));
  return { configFile, api: `http://${api}`, ops: `http://${ops}` };
}

async function startWatched(
  scope: Scope,
  configFile: string,
  { canaries, name, entry }: { canaries: Canaries; name: string; entry: string },
): Promise<SidecarProcess> {
  const sidecar = await startSidecar(scope, configFile, { entry });
  canaries.shown(`${name} stdout`, sidecar.out());
  for (const stream of ['stdout', 'stderr'] as const)
    sidecar.child[stream]?.on('data', (chunk: Buffer) => canaries.shown(`${name} ${stream}`, chunk.toString()));
  await sidecar.event('listening');
  return sidecar;
}

/** Cycles through the kinds of outage: sealed, no reply, 500, errors that echo the request, forgotten tokens. */
async function harassVault(vault: DevVault, isOver: () => boolean, counts: { outages: number }): Promise<void> {
  const kinds: readonly (() => void)[] = [
    () => vault.setSealed(true),
    () => vault.setFault(() => undefined),
    () => vault.setFault(() => ({ status: 500, body: { errors: ['internal error'] } })),
    () =>
      vault.setFault(({ headers, body }) => ({
        status: 400,
        body: { errors: [`saw ${body} and ${headers['x-vault-token']}`], warnings: [body] },
      })),
    () => vault.forget(),
  ];
  for (let kind = 0; !isOver(); kind = (kind + 1) % kinds.length) {
    await pauseUnless(isOver, 5000);
    kinds[kind]?.();
    counts.outages += 1;
    await pauseUnless(isOver, 3000);
    vault.setSealed(false);
    vault.setFault(undefined);
  }
}

async function killAgainAndAgain(
  victim: Place & { start(): Promise<SidecarProcess> },
  {
    isOver,
    counts,
    canaries,
    intervalMs,
  }: {
    isOver: () => boolean;
    counts: { kills: number };
    canaries: Canaries;
    intervalMs: number;
  },
): Promise<void> {
  while (!isOver()) {
    const sidecar = await victim.start();
    await pauseUnless(isOver, intervalMs);
    for (const [path, text] of Object.entries(await scrape(victim.ops))) canaries.shown(`victim ${path}`, text);
    sidecar.signal('SIGKILL');
    assert.equal(await sidecar.ended, 'SIGKILL');
    counts.kills += 1;
  }
}

/** Everything that the ops API serves. */
async function scrape(ops: string): Promise<Record<string, string>> {
  const shown: Record<string, string> = {};
  for (const path of ['/metrics', '/status', '/readyz', '/livez', '/startupz', '/none'])
    shown[path] = await (await fetch(ops + path)).text();
  return shown;
}

/** Requests a token as a client does; three times in ten for an exchange that doesn't exist. */
async function askForToken(api: string, canaries: Canaries): Promise<boolean> {
  const isBad = Math.random() < 0.3;
  const reply = await fetch(`${api}/v1/token/${isBad ? 'nobody' : 'raw'}`, { headers: { 'x-vault-request': 'true' } });
  const text = await reply.text();
  if (reply.status !== 200) canaries.shown('survivor refusals', text);
  return reply.status === 200;
}

function overAfter(seconds: number): () => boolean {
  const end = performance.now() + seconds * 1000;
  return () => performance.now() > end;
}

async function every(ms: number, isOver: () => boolean, action: () => Promise<void>): Promise<void> {
  while (!isOver()) {
    await action();
    await pause(ms);
  }
}

async function pauseUnless(isOver: () => boolean, ms: number): Promise<void> {
  const end = performance.now() + ms;
  while (!isOver() && performance.now() < end) await pause(50);
}

if (import.meta.main) {
  const { table, problems } = await soak(60 * Number(process.env['SOAK_MINUTES'] ?? 5));
  process.stdout.write(`${[table, ...problems].join('\n')}\n`);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
