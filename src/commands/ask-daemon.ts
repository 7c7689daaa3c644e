// How the commands that look at a running daemon ask it: over its own HTTP, found by a flag, the config or the defaults.

import { readFile } from 'node:fs/promises';
import { parseListen } from '../config-address.ts';
import { ExchangeError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { ListenAddress } from '../core/settings.ts';
import { parseObject } from '../core/vault-protocol.ts';
import { type Flags, type Io, textFlag, UsageError } from './command.ts';
import { loadSettings } from './load-settings.ts';

export interface Answer {
  readonly status: number;
  readonly text: string;
}

const ASK_TIMEOUT_MS = 5000;

/** The members of /status that commands look at. */
export interface Status {
  readonly exchanges: readonly ExchangeStatus[];
}

export interface ExchangeStatus {
  readonly exchange: string;
  readonly phase: string;
  readonly ready: boolean;
  readonly token?: { readonly expires_at: string } | null;
  readonly next_action?: { readonly kind: string; readonly at: string } | null;
  readonly failure?: Trouble | null;
  readonly sinks: readonly { readonly id: string; readonly failure?: Pick<Trouble, 'title' | 'hint'> | null }[];
}

interface Trouble {
  readonly title: string;
  readonly hint: string;
  readonly evidence?: string | null;
  readonly attempts: number;
}

/** GET from the ops listener: `--ops URL`, or `ops.listen` of the config. @throws ExchangeError not_ready */
export async function askOps(path: string, flags: Flags, io: Io, withinMs?: number): Promise<Answer> {
  const url = textFlag(flags, 'ops') ?? urlOf((await listenersOf(flags, io)).ops);
  return get(url, path, { withinMs });
}

/** @throws ExchangeError not_ready, also where somebody else answers */
export async function askStatus(flags: Flags, io: Io): Promise<Status & { readonly text: string }> {
  const { status, text } = await askOps('/status', flags, io);
  const body = status === 200 ? jsonIn(text) : undefined;
  if (!Array.isArray(body?.['exchanges'])) throw new ExchangeError('not_ready', NOT_OURS);
  return { exchanges: body['exchanges'], text };
}

/** The JSON object of an answer; undefined where it is none. */
export const jsonIn = (text: string): Record<string, unknown> | undefined => parseObject(new Secret(text));

export const NOT_OURS = "the answer is not the sidecar's";

/** GET from the token API: `--api URL`, or `api.listen` of the config, with the caller token that it names. */
export async function askApi(path: string, flags: Flags, io: Io): Promise<Answer> {
  const { api, callerTokenFile } = await listenersOf(flags, io);
  const authorization =
    callerTokenFile === undefined ? {} : { authorization: `Bearer ${await callerToken(callerTokenFile)}` };
  const headers = { 'x-vault-request': 'true', ...authorization };
  return get(textFlag(flags, 'api') ?? urlOf(api), path, { headers });
}

async function callerToken(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`api.caller_token_file can't be read: ${file} (${error.code})`);
  });
  return text.trim();
}

interface Listeners {
  readonly api: ListenAddress;
  readonly ops: ListenAddress;
  readonly callerTokenFile?: string | undefined;
}

/** Without --config the environment's addresses count; the rest of the config isn't asked for. */
async function listenersOf(flags: Flags, io: Io): Promise<Listeners> {
  if (textFlag(flags, 'config') === undefined)
    return {
      api: listenFrom(io, 'VTS_API_LISTEN', '127.0.0.1:8275'),
      ops: listenFrom(io, 'VTS_OPS_LISTEN', '127.0.0.1:8276'),
    };
  const { settings } = await loadSettings(flags, io);
  return { api: settings.api.listen, ops: settings.ops.listen, callerTokenFile: settings.api.callerTokenFile };
}

function listenFrom({ env }: Io, variable: string, fallback: string): ListenAddress {
  const address = parseListen(env[variable] || fallback);
  if ('problem' in address) throw new UsageError(`${variable} ${address.problem}`);
  return address;
}

function urlOf({ host, port }: ListenAddress): string {
  if (host === '0.0.0.0') return `http://127.0.0.1:${port}`;
  if (host === '::') return `http://[::1]:${port}`;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

async function get(
  base: string,
  path: string,
  { headers = {}, withinMs = ASK_TIMEOUT_MS }: { headers?: Record<string, string>; withinMs?: number | undefined },
): Promise<Answer> {
  if (!/^https?:\/\/[^@]+$/i.test(base) || !URL.canParse(base))
    throw new UsageError('--ops and --api must be URLs such as http://127.0.0.1:8276');
  try {
    const response = await fetch(new URL(path, base), {
      headers,
      signal: AbortSignal.timeout(Math.ceil(Math.min(withinMs, ASK_TIMEOUT_MS))),
      redirect: 'error',
    });
    return { status: response.status, text: await response.text() };
  } catch {
    throw new ExchangeError('not_ready', `no sidecar answers at ${base}`);
  }
}
