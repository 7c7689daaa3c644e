// Config rules that span several members.

import { normalize } from 'node:path/posix';
import { isLoopback } from '../core/hosts.ts';
import { unprintableIn } from '../core/secret.ts';
import { isSocket, type ListenAddress, type Settings } from '../core/settings.ts';
import { leavesOf } from './origins.ts';
import { type ConfigProblem, keyOf } from './problem.ts';
import type { ConfigFile } from './schema.ts';

/** Members that may have several lines. */
const MULTILINE = /^\/exchanges\/[^/]+\/setup\/(?:policies\/|trust\/oidc_discovery_ca_pem$)/;

/**
 * Rejects values with unprintable characters. Such a character in a name, path, address or header is a mistake, and would fail
 * later in a way that is hard to diagnose. @returns one problem per value
 */
export function unprintableValues(config: object): ConfigProblem[] {
  return leavesOf('', config).flatMap(({ pointer, value }) => {
    const found = unprintableIn(MULTILINE.test(pointer) ? value.replaceAll(/[\r\n\t]/g, ' ') : value);
    return found === undefined ? [] : [{ pointer, message: `contains an unprintable character (${found}): remove it` }];
  });
}

/** @returns one problem per violated rule */
export function crossRules(file: ConfigFile, settings: Settings): ConfigProblem[] {
  const listeners = listenersOf(settings);
  return [...pathRules(settings, listeners), ...listenRules(file, settings, listeners)];
}

interface Listener {
  readonly pointer: string;
  readonly address: ListenAddress;
}

const listenersOf = ({ exchanges, api, ops }: Settings): readonly Listener[] => [
  { pointer: '/api/listen', address: api.listen },
  { pointer: '/ops/listen', address: ops.listen },
  ...exchanges.flatMap(({ name, proxy }) =>
    proxy === undefined ? [] : [{ pointer: `/exchanges/${name}/proxy/listen`, address: proxy.listen }],
  ),
];

function pathRules({ exchanges }: Settings, listeners: readonly Listener[]): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const sources = new Map(
    exchanges.flatMap(({ name, source }) => (source.kind === 'file' ? [[normalize(source.path), name]] : [])),
  );
  const taken = new Map<string, string>();
  for (const { pointer, address } of listeners) if (isSocket(address)) taken.set(address.path, keyOf(pointer));
  for (const { name, sinks } of exchanges) {
    for (const [index, sink] of sinks.entries()) {
      const pointer = `/exchanges/${name}/sinks/${index}/file/path`;
      const add = (message: string) => problems.push({ pointer, message });
      const path = normalize(sink.path);
      const first = taken.get(path);
      if (sources.has(path)) add(`is the JWT file of exchange ${sources.get(path)}`);
      else if (first !== undefined) add(`is also the path of ${first}`);
      else if (!/^\/.+\/[^/]+$/.test(path)) add('must be a file in a directory other than /');
      taken.set(path, keyOf(`/exchanges/${name}/sinks/${index}`));
    }
  }
  return problems;
}

function listenRules(file: ConfigFile, { api }: Settings, listeners: readonly Listener[]): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const isLocal = (address: ListenAddress) => isSocket(address) || isLoopback(address.host);
  const guarded = file.api?.allow_non_loopback === true && api.callerTokenFile !== undefined;
  if (!isLocal(api.listen) && !guarded) {
    const message =
      'serves tokens beyond loopback: set allow_non_loopback and caller_token_file, or listen on 127.0.0.1';
    problems.push({ pointer: '/api/listen', message });
  }
  for (const [index, { pointer, address }] of listeners.entries()) {
    if (pointer.endsWith('/proxy/listen') && !isLocal(address))
      problems.push({ pointer, message: 'lets others use the token: listen on 127.0.0.1, [::1] or a unix socket' });
    const other = listeners.slice(0, index).find((one) => isSamePlace(one.address, address));
    if (other !== undefined) problems.push({ pointer, message: `must differ from ${keyOf(other.pointer)}` });
  }
  return problems;
}

/** Reports whether two listeners conflict. */
function isSamePlace(one: ListenAddress, other: ListenAddress): boolean {
  if (isSocket(one)) return isSocket(other) && one.path === other.path;
  return !isSocket(other) && one.port === other.port && one.port !== 0 && isSameHost(one.host, other.host);
}

const ANY = ['0.0.0.0', '::'];

/** Reports whether listeners on both hosts conflict if their ports are equal. */
function isSameHost(one: string, other: string): boolean {
  return one === other || ANY.includes(one) || ANY.includes(other);
}
