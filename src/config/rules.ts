// Rules between members: what is fine alone and wrong together.

import { normalize } from 'node:path/posix';
import { unprintableIn } from '../core/secret.ts';
import type { Settings } from '../core/settings.ts';
import { isLoopback } from './address.ts';
import { leavesOf } from './origins.ts';
import { type ConfigProblem, keyOf } from './problem.ts';
import type { ConfigFile } from './schema.ts';

/** Members that are texts of several lines. */
const OF_SEVERAL_LINES = /^\/exchanges\/[^/]+\/setup\/(?:policies\/|trust\/oidc_discovery_ca_pem$)/;

/**
 * A name, path, address or header value with a character that nobody sees is a mistake, and each place where it is used would
 * fail in its own way. @returns a problem for each such value
 */
export function unprintableValues(config: object): ConfigProblem[] {
  return leavesOf('', config).flatMap(({ pointer, value }) => {
    const found = unprintableIn(OF_SEVERAL_LINES.test(pointer) ? value.replaceAll(/[\r\n\t]/g, ' ') : value);
    return found === undefined ? [] : [{ pointer, message: `holds an unprintable character (${found}): remove it` }];
  });
}

/** @returns a problem for each rule that is broken */
export function crossRules(file: ConfigFile, settings: Settings): ConfigProblem[] {
  return [...pathRules(settings), ...listenRules(file, settings)];
}

function pathRules({ exchanges }: Settings): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const sources = new Map(
    exchanges.flatMap(({ name, source }) => (source.kind === 'file' ? [[normalize(source.path), name]] : [])),
  );
  const taken = new Map<string, string>();
  for (const { name, sinks } of exchanges) {
    for (const [index, sink] of sinks.entries()) {
      const pointer = `/exchanges/${name}/sinks/${index}/file/path`;
      const add = (message: string) => problems.push({ pointer, message });
      const path = normalize(sink.path);
      const first = taken.get(path);
      if (sources.has(path)) add(`is the JWT's file of exchange ${sources.get(path)}`);
      else if (first !== undefined) add(`is written by ${first} too`);
      else if (!/^\/.+\/[^/]+$/.test(path)) add('must be a file in a directory of its own, not in /');
      taken.set(path, keyOf(`/exchanges/${name}/sinks/${index}`));
    }
  }
  return problems;
}

function listenRules(file: ConfigFile, { api, ops }: Settings): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const guarded = file.api?.allow_non_loopback === true && api.callerTokenFile !== undefined;
  if (!isLoopback(api.listen.host) && !guarded) {
    const message =
      'hands out tokens off loopback: set allow_non_loopback and caller_token_file, or listen on 127.0.0.1';
    problems.push({ pointer: '/api/listen', message });
  }
  if (api.listen.port === ops.listen.port && api.listen.port !== 0 && isSameHost(api.listen.host, ops.listen.host))
    problems.push({ pointer: '/ops/listen', message: 'is the address of api.listen' });
  return problems;
}

const ANY = ['0.0.0.0', '::'];

/** Whether who listens at one of them is in the way at the other. */
function isSameHost(one: string, other: string): boolean {
  return one === other || ANY.includes(one) || ANY.includes(other);
}
