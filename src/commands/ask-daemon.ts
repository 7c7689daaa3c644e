// Requests to the running daemon, for the commands that query it. The listener comes from a flag, the config or the defaults.

import { request as requestHttps } from 'node:https';
import { Check } from 'typebox/schema';
import { parseListen } from '../config/address.ts';
import { defaultAt } from '../config/schema.ts';
import { defined } from '../core/defined.ts';
import { ExchangeError, explain } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { isSocket, listenText, type SocketPath, type TcpAddress } from '../core/settings.ts';
import { parseObject } from '../core/vault-protocol.ts';
import { type Io, UsageError } from '../host/io.ts';
import { readCallerToken } from '../http/caller-token.ts';
import { StatusReply } from '../http/status-reply.ts';
import { request as requestHttp } from '../network/node-http.ts';
import { type Flags, textFlag } from './command.ts';
import { configPath, loadSettings, warnOfVariables } from './load-settings.ts';

export interface Answer {
  readonly status: number;
  readonly text: string;
  /** the header Retry-After */
  readonly retryAfter: string | undefined;
}

type Method = 'GET' | 'POST';

const ASK_TIMEOUT_MS = 5000;

/** Sends a GET to the ops listener: `--ops`, or `ops.listen` of the config. @throws ExchangeError not_ready */
export async function askOps(path: string, flags: Flags, io: Io, withinMs?: number): Promise<Answer> {
  const url = textFlag(flags, 'ops') ?? urlOf((await listenersOf(flags, io)).ops);
  return request(url, path, { withinMs });
}

/** Requests /status from the ops listener. @throws ExchangeError not_ready, also if another server answers */
export async function askStatus(flags: Flags, io: Io): Promise<StatusReply> {
  const { status, text } = await askOps('/status', flags, io);
  const body = status === 200 ? jsonIn(text) : undefined;
  if (!Check(StatusReply, body)) throw new ExchangeError('not_ready', { kind: 'other-server' });
  return body;
}

/** Parses a response as a JSON object; undefined if it isn't one. */
export const jsonIn = (text: string): Record<string, unknown> | undefined => parseObject(new Secret(text));

export const NOT_OURS = 'the server that answered is not the sidecar';

/** Sends a request to the token API: `--api`, or `api.listen` of the config; with the caller token of the config. */
export async function askApi(path: string, flags: Flags, io: Io, method: Method = 'GET'): Promise<Answer> {
  const { api, callerTokenFile } = await listenersOf(flags, io);
  const authorization =
    callerTokenFile === undefined ? {} : { authorization: `Bearer ${await callerToken(callerTokenFile)}` };
  const headers = { 'x-vault-request': 'true', ...authorization };
  return request(textFlag(flags, 'api') ?? urlOf(api), path, { method, headers });
}

async function callerToken(file: string): Promise<string> {
  const outcome = await readCallerToken(file);
  if (outcome instanceof Secret) return outcome.reveal();
  throw new UsageError(`api.caller_token_file is unusable: ${explain(outcome).evidence}`);
}

interface Listeners {
  readonly api: TcpAddress | SocketPath;
  readonly ops: TcpAddress | SocketPath;
  readonly callerTokenFile?: string | undefined;
}

/** Returns the listeners of the config. Without a file, reads only their variables, so that the rest may be unset. */
async function listenersOf(flags: Flags, io: Io): Promise<Listeners> {
  if (configPath(flags, io) === undefined) {
    warnOfVariables(flags, io);
    return {
      api: listenFrom(io, 'VTS_API_LISTEN', '/api/listen'),
      ops: listenFrom(io, 'VTS_OPS_LISTEN', '/ops/listen'),
    };
  }
  const { settings } = await loadSettings(flags, io);
  return { api: settings.api.listen, ops: settings.ops.listen, callerTokenFile: settings.api.callerTokenFile };
}

function listenFrom({ env }: Io, variable: string, pointer: string): Listeners['api'] {
  const address = parseListen(env[variable] || String(defaultAt(pointer)));
  if ('invalid' in address) throw new UsageError(`${variable} ${address.invalid}`);
  return address;
}

function urlOf(address: Listeners['api']): string {
  if (isSocket(address)) return listenText(address);
  const { host, port } = address;
  if (host === '0.0.0.0') return `http://127.0.0.1:${port}`;
  if (host === '::') return `http://[::1]:${port}`;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

interface Asking {
  readonly method?: Method;
  readonly headers?: Record<string, string>;
  readonly withinMs?: number | undefined;
}

async function request(
  base: string,
  path: string,
  { method = 'GET', headers = {}, withinMs = ASK_TIMEOUT_MS }: Asking,
): Promise<Answer> {
  const { url, socketPath } = targetOf(base);
  const signal = AbortSignal.timeout(Math.ceil(Math.min(withinMs, ASK_TIMEOUT_MS)));
  try {
    return await send(new URL(path, url), { method, headers, signal, ...defined({ socketPath }) });
  } catch (error) {
    // A socket that the user may not open looks like a missing sidecar.
    const isDenied = error instanceof Error && 'code' in error && error.code === 'EACCES';
    throw new ExchangeError('not_ready', { kind: 'no-sidecar', url: base, ...(isDenied ? { errno: 'EACCES' } : {}) });
  }
}

/** Parses a URL or unix:/path. @throws UsageError */
function targetOf(base: string): { readonly url: string; readonly socketPath?: string } {
  const address = base.startsWith('unix:') ? parseListen(base) : undefined;
  if (address !== undefined && 'path' in address) return { url: 'http://localhost', socketPath: address.path };
  if (!/^https?:\/\/[^@]+$/i.test(base) || !URL.canParse(base))
    throw new UsageError('--ops and --api must be unix:/path or URLs such as http://127.0.0.1:8276');
  return { url: base };
}

/**
 * Sends a request straight to the listener and follows no redirect, so that the caller token goes nowhere else. `agent: false`
 * avoids Node's global agents, which use the proxies of the environment if NODE_USE_ENV_PROXY is set.
 */
function send(
  url: URL,
  options: { method: Method; headers: Record<string, string>; signal: AbortSignal; socketPath?: string },
): Promise<Answer> {
  const open = url.protocol === 'https:' ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const sent = open(url, { ...options, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', reject);
      response.on('end', () => {
        const { statusCode: status = 0, headers } = response;
        resolve({ status, text, retryAfter: headers['retry-after'] });
      });
    });
    sent.on('error', reject);
    sent.end();
  });
}
