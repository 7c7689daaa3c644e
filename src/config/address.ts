// Parses Vault's URL and listen addresses. Messages never echo a URL, as it may contain credentials.

import { dirname, normalize } from 'node:path/posix';
import { isLoopback } from '../core/hosts.ts';
import type { SocketPath, TcpAddress } from '../core/settings.ts';

/** The reason why a value is invalid, as a clause to print after its key. */
export interface InvalidValue {
  readonly invalid: string;
}

/** @returns scheme://host[:port] without a trailing slash */
export function parseVaultAddress(text: string, allowInsecureHttp: boolean): string | InvalidValue {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    return { invalid: 'must be a URL such as https://vault.example.com:8200' };
  }
  if (url.username !== '' || url.password !== '') return { invalid: 'must not contain credentials' };
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') {
    return { invalid: 'must be scheme://host[:port] alone, without a path or query' };
  }
  if (url.protocol === 'http:' && !allowInsecureHttp && !isLoopback(url.hostname)) {
    return { invalid: 'must be https, as http sends the JWT in the clear; allow_insecure_http permits http' };
  }
  return url.origin;
}

/** @returns the text unchanged, as issuers must match exactly */
export function parseIssuerUrl(text: string): string | InvalidValue {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:'))
    return { invalid: 'must be a URL such as https://k8s-prod.oidc.pub' };
  return url.username !== '' || url.password !== '' ? { invalid: 'must not contain credentials' } : text;
}

/**
 * Parses host:port, with an IPv6 host in brackets, or unix:/path. "localhost" means 127.0.0.1, as a resolver may return several
 * addresses.
 */
export function parseListen(text: string): TcpAddress | SocketPath | InvalidValue {
  if (text.startsWith('unix:')) return parseSocketPath(text.slice('unix:'.length));
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535)
    return { invalid: 'must be host:port, such as "127.0.0.1:8275" or "[::1]:8275", or unix:/path' };
  const host = match[1] ?? match[2] ?? '';
  return { host: host.toLowerCase() === 'localhost' ? '127.0.0.1' : host, port };
}

/** Linux limits a socket's path to 107 bytes (unix(7)); while http/listen.ts creates the socket, its name is 7 bytes longer. */
const MOST_SOCKET_BYTES = 100;

/** Accepts the URL unix:///path too, as Vault's clients do. */
function parseSocketPath(text: string): SocketPath | InvalidValue {
  const path = normalize(text);
  if (!text.startsWith('/') || path.endsWith('/') || dirname(path) === '/')
    return { invalid: 'must be unix: and an absolute path, in a directory other than /' };
  return Buffer.byteLength(path) > MOST_SOCKET_BYTES
    ? { invalid: `must be a path of at most ${MOST_SOCKET_BYTES} bytes, as Linux limits the paths of sockets` }
    : { path };
}

/** @returns the address or range as Vault spells it */
export function parseCidr(text: string): string | InvalidValue {
  const [, address = '', range] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const isV4 = /^\d+(?:\.\d+){3}$/.test(address);
  const url = `http://${isV4 ? address : `[${address}]`}`;
  const host = URL.canParse(url) ? new URL(url).hostname.replace(/^\[|\]$/g, '') : '';
  const [bits, most] = [Number(range ?? 0), isV4 ? 32 : 128];
  // Vault takes a range that is too long for the path of a UNIX socket, and spells an IPv4-mapped address as IPv4.
  if (host === '' || (isV4 && host !== address) || host.startsWith('::ffff:') || bits > most)
    return { invalid: 'must be an IP address or a range, such as 10.0.0.0/8' };
  return range === undefined || bits === most ? host : `${host}/${bits}`;
}
