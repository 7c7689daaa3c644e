// A demo in one process: an OIDC issuer, a Vault that trusts it, and the sidecar between them, with a JWT that rotates every few
// seconds. The daemon is the real one, on real files and sockets; the issuer and Vault are in-memory implementations.

import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { wrap } from '../cli/text.ts';
import { parseConfig } from '../config/parse.ts';
import { type Paint, painter } from '../core/paint.ts';
import { type Daemon, startDaemon } from '../daemon.ts';
import { type Issuer, type JwtWish, openIssuer } from '../dev/issuer.ts';
import { openDevVault } from '../dev/vault.ts';
import type { Io } from '../host/io.ts';
import { openObserver } from '../observe/observe.ts';
import { type Command, durationFlag } from './command.ts';
import { scenes } from './dev-scenes.ts';

const EVERY_MS = 10_000;
const LEAST_JWT_TTL_SECONDS = 60;
/** Longer than the outage, so that it shows how the sidecar keeps the token. */
const TOKEN_TTL_SECONDS = 20;

export const command: Command = async (flags, io) => {
  const lifeMs = durationFlag(flags, Number.MAX_SAFE_INTEGER);
  const everyMs = durationFlag(flags, EVERY_MS, 'every');
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) io.onSignal(signal, () => stop.abort());
  if (lifeMs < Number.MAX_SAFE_INTEGER) AbortSignal.timeout(lifeMs).addEventListener('abort', () => stop.abort());

  const directory = await mkdtemp(join(tmpdir(), 'vault-token-sidecar-'));
  const issuer = await openIssuer();
  const vault = await openDevVault();
  vault.trust({
    issuer: issuer.issuer,
    role: 'app',
    settings: { token_ttl: TOKEN_TTL_SECONDS, token_policies: ['app-read'] },
  });
  // each JWT is replaced within half of its life
  const ttlSeconds = Math.max(LEAST_JWT_TTL_SECONDS, (2 * everyMs) / 1000);
  await writeJwt(issuer, directory, { ttlSeconds });
  const lines = openLines(io);
  const daemon = await startSidecar({ directory, issuer, vaultUrl: vault.url }, io, lines.take);
  io.out(whereToLook({ directory, issuer, vaultUrl: vault.url }, daemon, everyMs));
  lines.release();
  let lastAt = lines.startedAt();
  for (const { says, act } of scenes()) {
    lastAt += everyMs;
    await sleep(Math.max(0, lastAt - performance.now()), undefined, { signal: stop.signal }).catch(() => {});
    if (stop.signal.aborted) break;
    // after a pause of the process, the scenes go on at their pace
    lastAt = Math.max(lastAt, performance.now() - everyMs / 2);
    if (says !== undefined) io.out(painter(io)('cyan', `\n  ${says}\n`));
    await act({ vault, writeJwt: (claims) => writeJwt(issuer, directory, { ttlSeconds, ...claims }) });
  }
  await daemon.stop();
  await Promise.all([issuer.close(), vault.close()]);
  await rm(directory, { recursive: true });
  io.out('\nThe demo has ended, and its files are removed.\nFor your own Vault: vault-token-sidecar help init');
  return 0;
};

/** Replaces the JWT file as an issuer's agent does: writes a new file and renames it over the old one. */
async function writeJwt(issuer: Issuer, directory: string, claims: JwtWish): Promise<void> {
  const jwt = await issuer.mint({ sub: 'system:serviceaccount:default:app', ...claims });
  await writeFile(join(directory, 'jwt.new'), jwt, { mode: 0o600 });
  await rename(join(directory, 'jwt.new'), join(directory, 'jwt'));
}

interface Peers {
  readonly directory: string;
  readonly issuer: Issuer;
  readonly vaultUrl: string;
}

async function startSidecar(
  { directory, issuer, vaultUrl }: Peers,
  { version, nodeVersion }: Io,
  show: (line: LogLine) => void,
): Promise<Daemon> {
  const text = JSON.stringify({
    vault: { address: vaultUrl },
    exchanges: {
      app: {
        source: { file: { path: join(directory, 'jwt') } },
        login: { role: 'app' },
        expect: { issuer: issuer.issuer, audience: 'vault' },
        sinks: [
          { file: { path: join(directory, 'token') } },
          { file: { path: join(directory, 'token.json'), format: 'json' } },
        ],
      },
    },
    api: { listen: '127.0.0.1:0' },
    ops: { listen: '127.0.0.1:0' },
    log: { level: 'debug' },
  });
  const { settings } = parseConfig(text, { fileName: 'dev', env: {} });
  const target = (line: string) => show(JSON.parse(line));
  const observer = openObserver({ version, nodeVersion, nodeMetrics: false, level: 'debug', target });
  return startDaemon({ settings, openObserver: async () => observer, env: {}, version });
}

type LogLine = Readonly<Record<string, unknown>>;

interface Lines {
  take(line: LogLine): void;
  release(): void;
  startedAt(): number;
}

/** Prints the lines of the log. Those of the start wait until the demo has printed where to look. */
function openLines(io: Io): Lines {
  const paint = painter(io);
  const early: LogLine[] = [];
  let isHeld = true;
  let startedAt: number | undefined;
  const print = (line: LogLine) => {
    const text = asText(line, paint);
    if (text !== undefined) io.out(text);
  };
  return {
    take(line) {
      // The first JWT starts the first login. The budget of logins counts from there, and so do the scenes: a slow machine
      // shows the same story. The line itself may come later.
      if (line['event'] === 'jwt_changed')
        startedAt ??= performance.now() - Date.now() + Date.parse(String(line['time']));
      if (isHeld) early.push(line);
      else print(line);
    },
    release() {
      isHeld = false;
      for (const line of early) print(line);
    },
    startedAt: () => startedAt ?? performance.now(),
  };
}

/** The columns of the time and of what the line is about; the lines below it start at the second one. */
const [CLOCK, ABOUT] = [10, 21];
const WIDTH = 80;

const WORDS: Readonly<Record<string, (line: LogLine) => readonly [about: string, words: string]>> = {
  jwt_changed: ({ jwt_expires_at }) => ['issuer   -> JWT', `a new workload JWT, valid until ${clock(jwt_expires_at)}`],
  logged_in: ({ accessor, ttl_seconds }) => [
    'JWT      -> Vault',
    `logged in: accessor ${shorten(accessor)}, for ${ttl_seconds} s`,
  ],
  renewed: ({ accessor, expires_at }) => [
    'token    -> Vault',
    `renewed: accessor ${shorten(accessor)}, valid until ${clock(expires_at)}`,
  ],
  sink_written: ({ sink }) => ['token    -> file', String(sink)],
  ready: () => ['ready', 'every file holds a valid token'],
  not_ready: ({ reasons }) => ['not ready', [reasons].flat().join('; ')],
  recovered: ({ attempts }) => ['recovered', `after ${attempts} failed ${attempts === 1 ? 'try' : 'tries'}`],
};

/** Renders a log line for the demo; undefined for events that the demo leaves out. */
function asText(line: LogLine, paint: Paint): string | undefined {
  const { event, time, level } = line;
  const words = WORDS[String(event)]?.(line);
  const isBad = level === 'warn' || level === 'error';
  if (words === undefined && !isBad) return undefined;
  const [about, said] = words ?? [
    String(event).replaceAll('_', ' ').replace(/^jwt/, 'JWT'),
    String(line['title'] ?? ''),
  ];
  const colour = COLOURS[String(event)] ?? (isBad ? 'red' : undefined);
  const padded = about.padEnd(ABOUT);
  const first = `${clock(time).padEnd(CLOCK)}${colour === undefined ? padded : paint(colour, padded)}${said}`;
  return [first, ...(words === undefined ? detailsOf(line) : [])].join('\n');
}

const COLOURS: Readonly<Record<string, 'green' | 'red'>> = { ready: 'green', recovered: 'green', not_ready: 'red' };

/** The evidence, the hint and the next try of a failure, in lines below its title. */
function detailsOf({ evidence, hint, retry_at: retryAt }: LogLine): readonly string[] {
  const next = retryAt === undefined ? undefined : `next try at ${clock(retryAt)}`;
  const texts = [evidence, hint, next].filter((text) => typeof text === 'string');
  return texts.flatMap((text) => wrap(text, WIDTH - CLOCK)).map((text) => ' '.repeat(CLOCK) + text);
}

const clock = (instant: unknown): string => String(instant).slice(11, 19);
const shorten = (accessor: unknown): string => `${String(accessor).slice(0, 8)}...`;

function whereToLook({ directory, issuer, vaultUrl }: Peers, daemon: Daemon, everyMs: number): string {
  return `
  issuer   ${issuer.url}, writes a new JWT every ${everyMs / 1000} s, to
           ${join(directory, 'jwt')}
  Vault    ${vaultUrl}, trusts the issuer, grants tokens of ${TOKEN_TTL_SECONDS} s
  sidecar  keeps a Vault token for the exchange "app"

  Look at it from another terminal:

    cat ${join(directory, 'token')}
    cat ${join(directory, 'token.json')}
    curl -s -H 'X-Vault-Request: true' ${daemon.api}/v1/token
    curl -s -H 'X-Vault-Request: true' '${daemon.api}/v1/token?wait_for_change=true'
    vault-token-sidecar status app --watch --ops ${daemon.ops}
    curl -s ${daemon.ops}/metrics

  Press Ctrl-C to stop. Times are UTC.
`;
}
