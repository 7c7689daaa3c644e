// The workload JWT behind a URL: a cloud's metadata service, or the token endpoint of a CI system. Each reading requests a
// JWT; the core decides how often.

import { type ErrorCode, ExchangeError, isFailure, unlessFailure } from '../core/errors.ts';
import type { Facts } from '../core/facts.ts';
import { isHeaderText, judgeEndpoint, parseEndpointUrl, secretsIn } from '../core/jwt-endpoint.ts';
import { Secret, unprintableIn } from '../core/secret.ts';
import type { HeaderSettings, HttpSourceSettings } from '../core/settings.ts';
import { isFileProblem, readSmallFile } from '../files/small-file.ts';
import { type HttpReply, openTransport } from '../network/transport.ts';
import type { JwtSource } from './source.ts';

type Variables = Readonly<Record<string, string | undefined>>;

export function openHttpSource(settings: HttpSourceSettings, env: Variables): JwtSource {
  const transport = openTransport(settings);
  return {
    watched: true,
    async read() {
      const url = urlOf(settings, env);
      const { method, jsonPointer, body } = settings;
      const headers = {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(await headersOf(settings.headers, env)),
      };
      const request = { method, headers, ...(body === undefined ? {} : { body: new Secret(body) }) };
      const reply: HttpReply = await transport.call((send) => send(url, request)).catch(throwAsEndpointFailure);
      return unlessFailure(judgeEndpoint({ host: url.host, jsonPointer }, reply, secretsIn({ url, headers, body })));
    },
    close: () => transport.close(),
  };
}

function urlOf({ url, query }: HttpSourceSettings, env: Variables): URL {
  const parsed = parseEndpointUrl('text' in url ? url.text : variable(url.env, env));
  if (typeof parsed === 'string')
    throw incomplete({ kind: 'variable', name: 'env' in url ? url.env : '', problem: parsed });
  for (const [name, value] of Object.entries(query)) parsed.searchParams.set(name, value);
  return parsed;
}

async function headersOf(
  headers: HttpSourceSettings['headers'],
  env: Variables,
): Promise<Readonly<Record<string, string>>> {
  const pairs = Object.entries(headers).map(async ([name, setting]) => {
    const value = 'text' in setting ? setting.text : setting.prefix + (await secretText(setting, env));
    return [name.toLowerCase(), value] as const;
  });
  return Object.fromEntries(await Promise.all(pairs));
}

/** Reads a header's variable or file, at each request: files rotate. */
async function secretText(setting: Exclude<HeaderSettings, { text: string }>, env: Variables): Promise<string> {
  if ('env' in setting) {
    const text = variable(setting.env, env);
    if (!isHeaderText(text)) throw incomplete({ kind: 'variable', name: setting.env, problem: 'not-ascii' });
    return text;
  }
  const path = setting.file;
  const file = await readSmallFile(path);
  if (isFileProblem(file)) throw incomplete({ kind: 'file', path, ...file });
  const text = file.text.trim();
  if (text === '') throw incomplete({ kind: 'file', path, problem: 'empty' });
  if (unprintableIn(text) !== undefined) throw incomplete({ kind: 'file', path, problem: 'unprintable' });
  if (!isHeaderText(text)) throw incomplete({ kind: 'file', path, problem: 'not-ascii' });
  return text;
}

function variable(name: string, env: Variables): string {
  const text = env[name]?.trim();
  if (text === undefined) throw incomplete({ kind: 'variable', name, problem: 'unset' });
  if (text === '') throw incomplete({ kind: 'variable', name, problem: 'empty' });
  if (unprintableIn(text) !== undefined) throw incomplete({ kind: 'variable', name, problem: 'unprintable' });
  return text;
}

const incomplete = (facts: Facts): ExchangeError => new ExchangeError('jwt_request_incomplete', facts);

/** @throws ExchangeError: the transport's failures name Vault */
function throwAsEndpointFailure(error: unknown): never {
  const failure = error instanceof ExchangeError ? error.failure : undefined;
  if (!isFailure(failure)) throw error;
  throw new ExchangeError(CODES[failure.code] ?? 'jwt_endpoint_unreachable', failure.facts);
}

/** The codes for the transport's failures; the others mean that the endpoint is unreachable. */
const CODES: Partial<Record<ErrorCode, ErrorCode>> = {
  bad_response: 'jwt_endpoint_unusable',
  vault_tls: 'jwt_endpoint_tls',
  vault_tls_files: 'jwt_endpoint_tls',
};
