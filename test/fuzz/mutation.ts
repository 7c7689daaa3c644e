// Mutates good requests: changes, removes, duplicates, moves and inserts bytes. A seed always gives the same bytes. One
// character is one byte.

import type { TestContext } from 'node:test';
import { request } from '../http/raw-socket.ts';
import { type Chance, chanceOf, seededRandom } from '../support/random.ts';

/** Text that HTTP parsers may mishandle. */
const PIECES = [
  '\r\n',
  '\n',
  '\r',
  '\0',
  ' ',
  '\t',
  ':',
  '\x0b',
  '\x80',
  '\xff',
  '%00',
  '%2e%2e/',
  '\r\n\r\n',
  '0\r\n\r\n',
  '5\r\nabcde\r\n',
  'HTTP/1.1',
  'HTTP/1.0',
  'GET /v1/token HTTP/1.1\r\n',
  'Host: evil.example\r\n',
  'Host:\r\n',
  'X-Vault-Request: true\r\n',
  'X-Vault-Request: false\r\n',
  'Content-Length: 5\r\n',
  'Content-Length: 0\r\n',
  'Content-Length: 99999999999999999999\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: gzip, chunked\r\n',
  'Connection: keep-alive\r\n',
  'Connection: upgrade\r\nUpgrade: h2c\r\n',
  'Expect: 100-continue\r\n',
  'Origin: null\r\n',
  'Via: 1.1 a\r\n',
  'Sec-Fetch-Site: none\r\n',
  'Authorization: Bearer x\r\n',
  'Accept: text/plain\r\n',
];

const range = ({ between }: Chance, text: string, longest = 40): readonly [from: number, to: number] => {
  const from = between(0, text.length);
  return [from, Math.min(text.length, from + between(1, longest))];
};
const put = (text: string, at: number, piece: string): string => text.slice(0, at) + piece + text.slice(at);
const anyByte = ({ between }: Chance): string => String.fromCharCode(between(0, 255));

const MUTATIONS: readonly ((text: string, chance: Chance, others: readonly string[]) => string)[] = [
  (text, chance) => {
    const at = chance.between(0, text.length - 1);
    return text.slice(0, at) + anyByte(chance) + text.slice(at + 1);
  },
  (text, chance) => put(text, chance.between(0, text.length), anyByte(chance).repeat(chance.spread(1, 300))),
  (text, chance) => put(text, chance.between(0, text.length), chance.pick(PIECES)),
  (text, chance) => {
    const lines = text.split('\r\n');
    lines.splice(chance.between(1, lines.length), 0, chance.pick(PIECES).trimEnd());
    return lines.join('\r\n');
  },
  (text, chance) => {
    const [from, to] = range(chance, text);
    return text.slice(0, from) + text.slice(to);
  },
  (text, chance) => {
    const [from, to] = range(chance, text, 200);
    return put(text, chance.between(0, text.length), text.slice(from, to));
  },
  (text, chance) => {
    const lines = text.split('\r\n');
    const at = chance.between(0, lines.length - 1);
    lines.splice(at, 1, ...Array.from({ length: chance.spread(1, 150) }, () => lines[at] ?? ''));
    return lines.join('\r\n');
  },
  (text, chance) => text.slice(0, chance.between(1, text.length)),
  (text, chance, others) => put(text, chance.between(0, text.length), chance.pick(others)),
  (text, chance, others) => text + chance.pick(others),
];

/** Applies one to four mutations to one of `good`. */
export function mutated(good: readonly string[], seed: number): string {
  const chance = chanceOf(seededRandom(seed));
  let text = chance.pick(good);
  for (let left = chance.between(1, 4); left > 0; left -= 1)
    text = text === '' ? '' : chance.pick(MUTATIONS)(text, chance, good);
  return text;
}

/** Good requests to the token API that are answered at once. */
export const tokenRequests = (port: number): readonly string[] => [
  request(port),
  request(port, ['Connection: keep-alive', 'Accept: text/plain']),
  request(port, ['Host: LOCALHOST:0'.replace('0', `${port}`), 'Accept: */*'], 'GET /v1/token/app HTTP/1.1'),
  request(port, [], 'GET /v1/token/app/metadata HTTP/1.1'),
  request(port, ['Connection: keep-alive'], 'GET /v1/token?wait_for_change=true&last_etag=0&timeout_sec=1 HTTP/1.1'),
  request(port, ['Content-Length: 0'], 'POST /v1/token/app/refresh HTTP/1.1'),
];

export const opsRequests = (port: number): readonly string[] =>
  ['/livez', '/readyz', '/readyz/app', '/startupz', '/metrics', '/status'].map((path) =>
    request(port, path === '/status' ? ['Connection: keep-alive'] : [], `GET ${path} HTTP/1.1`),
  );

/** The first seed: FUZZ_SEED if set, to reproduce a failure, or a random one. It is printed with the results. */
export function firstSeed(t: TestContext): number {
  const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 1e9));
  t.diagnostic(`FUZZ_SEED=${seed}`);
  return seed;
}
