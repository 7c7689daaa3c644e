// Starts the sidecar as a process in the environment that a fault needs: a wrapper command (unshare, prlimit, strace),
// environment variables, a stdout. Its output is kept, and remaining processes are killed when the test ends.

import assert from 'node:assert/strict';
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { NODE_FLAGS } from '../support/node-flags.ts';
import { reservePort } from '../support/ports.ts';
import { procText } from '../support/proc.ts';
import { sidecarEntry } from '../support/program.ts';
import { type Scope, scopeOf } from '../support/scope.ts';
import { until } from '../support/settling.ts';
import { openPeers, type Peers } from '../support/sidecar.ts';
import { temporaryDirectory } from '../support/temporary.ts';

export interface Surroundings {
  /** a command that executes its arguments, such as ['prlimit', '--nofile=64'] */
  readonly wrapper?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** the program; by default the one in dist/ */
  readonly entry?: string;
  /** source of a module to run first, since the program refuses Node's --import */
  readonly preload?: string;
  /** a file descriptor for its stdout; by default a pipe to the test */
  readonly stdout?: number | undefined;
}

export interface LogLine extends Record<string, unknown> {
  readonly event: string;
}

export interface SidecarProcess {
  readonly child: ChildProcess;
  /** of the sidecar, not of its wrapper */
  readonly pid: number;
  readonly out: () => string;
  readonly err: () => string;
  log(): readonly LogLine[];
  /** Waits for the first line of that event for which `wanted` holds. */
  event(name: string, wanted?: (line: LogLine) => boolean, limitMs?: number): Promise<LogLine>;
  /** resolves with the exit code, or the signal's name */
  readonly ended: Promise<number | string>;
  signal(name: NodeJS.Signals): void;
  /** Sends SIGTERM; returns the exit code and the time that the process took to exit. */
  stop(): Promise<{ code: number | string; tookMs: number }>;
  /** Stops it. @returns the time that it took @throws AssertionError unless it exits with 0 within `limitMs` */
  stopWithin(limitMs: number): Promise<number>;
}

const BASE_ENV = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/' };

/** Starts `run --config configFile`; resolves as soon as the process exists, before it has done anything. */
export async function startSidecar(t: Scope, configFile: string, around: Surroundings = {}): Promise<SidecarProcess> {
  const entry = around.entry ?? (await entryAfter(t, around.preload));
  const command = [process.execPath, ...NODE_FLAGS, entry, 'run', '--config', configFile];
  const [program = '', ...args] = [...(around.wrapper ?? []), ...command];
  const stdio: StdioOptions = ['ignore', around.stdout ?? 'pipe', 'pipe'];
  const child = spawn(program, args, { env: { ...BASE_ENV, ...around.env }, stdio });
  let [out, err] = ['', ''];
  child.stdout?.on('data', (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    err += chunk.toString();
  });
  const ended = new Promise<number | string>((resolve) => {
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  });
  scopeOf(t).after(async () => {
    for (const pid of [...descendants(child.pid ?? 0).reverse(), child.pid ?? 0]) kill(pid, 'SIGKILL');
    if (child.pid !== undefined) await ended;
  });
  const pid = await until('the sidecar runs', () => {
    assert.equal(child.exitCode, null, `it ended: ${err}`);
    return [child.pid ?? 0, ...descendants(child.pid ?? 0)].find((one) => isSidecar(one, [entry, configFile]));
  });
  let ending: number | string | undefined;
  async function stop() {
    const startedAt = performance.now();
    kill(pid, 'SIGTERM');
    void ended.then((code) => {
      ending = code;
    });
    const code = await until('it ends', () => ending, 15_000);
    return { code, tookMs: performance.now() - startedAt };
  }
  const log = () =>
    out
      .slice(0, out.lastIndexOf('\n') + 1)
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as LogLine);
  return {
    child,
    pid,
    out: () => out,
    err: () => err,
    log,
    event: (name, wanted = () => true, limitMs = 15_000) =>
      until(`the event ${name}; ${err}`, () => log().find((line) => line.event === name && wanted(line)), limitMs),
    ended,
    signal: (name) => kill(pid, name),
    stop,
    async stopWithin(limitMs) {
      const { code, tookMs } = await stop();
      assert.equal(code, 0);
      assert.ok(tookMs < limitMs, `${tookMs} ms`);
      return tookMs;
    },
  };
}

async function entryAfter(t: Scope, preload: string | undefined): Promise<string> {
  if (preload === undefined) return sidecarEntry();
  const file = join(await temporaryDirectory(t), 'entry.mjs');
  await writeFile(file, `${preload}\nawait import(${JSON.stringify(pathToFileURL(sidecarEntry()).href)});\n`);
  return file;
}

/** Whether the process is Node running the program, not the wrapper, whose arguments contain the same words. */
function isSidecar(pid: number, words: readonly string[]): boolean {
  const [program, ...args] = procText(pid, 'cmdline').split('\0');
  return program === process.execPath && words.every((word) => args.includes(word));
}

function descendants(pid: number): number[] {
  const children = procText(pid, `task/${pid}/children`).split(' ').filter(Boolean).map(Number);
  return children.flatMap((child) => [child, ...descendants(child)]);
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    if (pid > 1) process.kill(pid, signal);
  } catch {
    // it has already exited
  }
}

export interface FaultWorld extends Peers {
  readonly configFile: string;
  readonly tokenFile: string;
  readonly api: string;
  readonly ops: string;
  /** Rewrites the config; `app` overrides keys of the exchange "app", `whole` overrides top-level keys. */
  configure(app?: Record<string, unknown>, whole?: Record<string, unknown>): Promise<void>;
  token(): string | undefined;
}

/** Opens the peers, and writes a config file with reserved ports; the role's lease is `leaseSeconds`. */
export async function openFaultWorld(
  t: Parameters<typeof openPeers>[0],
  {
    leaseSeconds = 3600,
    app = {},
    whole = {},
  }: {
    leaseSeconds?: number;
    app?: Record<string, unknown>;
    whole?: Record<string, unknown>;
  } = {},
): Promise<FaultWorld> {
  const peers = await openPeers(t);
  peers.vault.trust({ issuer: peers.issuer.issuer, role: 'app', settings: { token_ttl: leaseSeconds } });
  const configFile = join(peers.directory, 'config.json');
  const tokenFile = join(peers.directory, 'token');
  const [api, ops] = [`127.0.0.1:${await reservePort()}`, `127.0.0.1:${await reservePort()}`];
  const configure = (members = app, over = whole) =>
    writeFile(
      configFile,
      JSON.stringify({
        ...peers.config(members),
        api: { listen: api },
        ops: { listen: ops, node_metrics: true },
        ...over,
      }),
    );
  await configure();
  await peers.writeJwt();
  const token = () => {
    try {
      return readFileSync(tokenFile, 'utf8');
    } catch {
      return undefined;
    }
  };
  return { ...peers, configFile, tokenFile, api: `http://${api}`, ops: `http://${ops}`, configure, token };
}

/** The token that the token API serves, or the status of its refusal. */
export const served = (world: FaultWorld): Promise<string | number> => servedBy(world, 'app');

export async function servedBy({ api }: FaultWorld, exchange: string): Promise<string | number> {
  const reply = await fetch(`${api}/v1/token/${exchange}`, {
    headers: { 'x-vault-request': 'true' },
    signal: AbortSignal.timeout(5000),
  });
  return reply.status === 200 ? ((await reply.json()) as { access_token: string }).access_token : reply.status;
}

export async function metric({ ops }: FaultWorld, name: string): Promise<number> {
  const text = await (await fetch(`${ops}/metrics`)).text();
  const line = text.split('\n').find((one) => one.startsWith(`vault_token_sidecar_${name} `));
  return Number(line?.split(' ').at(-1));
}
