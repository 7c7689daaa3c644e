// How the commands that look at a running daemon ask it: over its own HTTP, found by a flag, the config or the defaults.

import { readFile } from 'node:fs/promises';
import { parseListen } from '../config-address.ts';
import { ExchangeError } from '../core/errors.ts';
import type { ListenAddress } from '../core/settings.ts';
import { type Flags, type Io, textFlag, UsageError } from './command.ts';
import { loadSettings } from './load-settings.ts';

export interface Answer {
  readonly status: number;
  readonly text: string;
}

const ASK_TIMEOUT_MS = 5000;

/** GET from the ops listener: `--ops URL`, or `ops.listen` of the config. */
export async function askOps(path: string, flags: Flags, io: Io): Promise<Answer> {
  const url = textFlag(flags, 'ops') ?? urlOf((await listenersOf(flags, io)).ops);
  return get(url, path, {});
}

/** GET from the token API: `--api URL`, or `api.listen` of the config, with the caller token that it names. */
export async function askApi(path: string, flags: Flags, io: Io): Promise<Answer> {
  const { api, callerTokenFile } = await listenersOf(flags, io);
  const secret = callerTokenFile === undefined ? undefined : (await readFile(callerTokenFile, 'utf8')).trim();
  const authorization = secret === undefined ? {} : { authorization: `Bearer ${secret}` };
  return get(textFlag(flags, 'api') ?? urlOf(api), path, {
    'x-vault-request': 'true',
    accept: 'text/plain',
    ...authorization,
  });
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
  const address = parseListen(env[variable] ?? fallback);
  if ('problem' in address) throw new UsageError(`${variable} ${address.problem}`);
  return address;
}

function urlOf({ host, port }: ListenAddress): string {
  if (host === '0.0.0.0') return `http://127.0.0.1:${port}`;
  if (host === '::') return `http://[::1]:${port}`;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

async function get(base: string, path: string, headers: Record<string, string>): Promise<Answer> {
  if (!URL.canParse(base)) throw new UsageError('--ops and --api must be URLs such as http://127.0.0.1:8276');
  try {
    const response = await fetch(new URL(path, base), {
      headers,
      signal: AbortSignal.timeout(ASK_TIMEOUT_MS),
      redirect: 'error',
    });
    return { status: response.status, text: await response.text() };
  } catch {
    throw new ExchangeError('not_ready', `no sidecar answers at ${base}`);
  }
}
