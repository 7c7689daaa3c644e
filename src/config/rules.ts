// Rules between members: what is fine alone and wrong together.

import { normalize } from 'node:path/posix';
import { unprintableIn } from '../core/secret.ts';
import type { Settings } from '../core/settings.ts';
import { isLoopback } from './address.ts';
import { leavesOf } from './origins.ts';
import type { ConfigFile } from './schema.ts';

/** Members that are texts of several lines. */
const OF_SEVERAL_LINES = /^\/exchanges\/[^/]+\/setup\/(?:policies\/|trust\/oidc_discovery_ca_pem$)/;

/**
 * A name, path, address or header value with a character that nobody sees is a mistake, and each place where it is used would
 * fail in its own way. @returns one line for each such value
 */
export function unprintableValues(config: object): string[] {
  return leavesOf('', config).flatMap(({ path, value }) => {
    const found = unprintableIn(OF_SEVERAL_LINES.test(path) ? value.replaceAll(/[\r\n\t]/g, ' ') : value);
    return found === undefined ? [] : [`${path}: holds an unprintable character (${found}): remove it`];
  });
}

/** @returns one line for each rule that is broken */
export function crossRules(file: ConfigFile, settings: Settings): string[] {
  return [...pathRules(settings), ...listenRules(file, settings)];
}

function pathRules({ exchanges }: Settings): string[] {
  const problems: string[] = [];
  const sources = new Map(
    exchanges.flatMap(({ name, source }) => (source.kind === 'file' ? [[normalize(source.path), name]] : [])),
  );
  const taken = new Map<string, string>();
  for (const { name, sinks } of exchanges) {
    for (const [index, sink] of sinks.entries()) {
      const at = `/exchanges/${name}/sinks/${index}/file/path`;
      const path = normalize(sink.path);
      const first = taken.get(path);
      if (sources.has(path)) problems.push(`${at}: is the JWT's file of exchange ${sources.get(path)}`);
      else if (first !== undefined) problems.push(`${at}: is written by ${first} too`);
      else if (!/^\/.+\/[^/]+$/.test(path)) problems.push(`${at}: must be a file in a directory of its own, not in /`);
      taken.set(path, `/exchanges/${name}/sinks/${index}`);
    }
  }
  return problems;
}

function listenRules(file: ConfigFile, { api, ops }: Settings): string[] {
  const problems: string[] = [];
  const guarded = file.api?.allow_non_loopback === true && api.callerTokenFile !== undefined;
  if (!isLoopback(api.listen.host) && !guarded) {
    problems.push(
      '/api/listen: hands out tokens off loopback: set allow_non_loopback and caller_token_file, or listen on 127.0.0.1',
    );
  }
  if (api.listen.port === ops.listen.port && api.listen.port !== 0 && isSameHost(api.listen.host, ops.listen.host))
    problems.push('/ops/listen: is the address of api.listen');
  return problems;
}

const ANY = ['0.0.0.0', '::'];

/** Whether who listens at one of them is in the way at the other. */
function isSameHost(one: string, other: string): boolean {
  return one === other || ANY.includes(one) || ANY.includes(other);
}
