// Requests whose end two parsers may see in different places, and protocols that aren't HTTP/1.1.

import { type Attack, MARKER } from './attacks.ts';
import { type Bytes, request, without } from './raw-socket.ts';

const attack = (name: string, bytes: (port: number) => Bytes, statuses: readonly number[] = [400]): Attack => ({
  name: `${name} (G8)`,
  statuses,
  bytes,
});
const lines = (name: string, ...all: readonly string[]): Attack => attack(name, (port) => request(port, all));
/** a good request where only a body may be */
const hidden = (port: number): string => request(port, [`X-Marker: ${MARKER}`]);

const TLS_HELLO = Uint8Array.from([0x16, 0x03, 0x01, 0x00, 0xf1, 0x01, 0x00, 0x00, 0xed, 0x03, 0x03, 0x0d, 0x0a]);

export const SMUGGLING: readonly Attack[] = [
  attack('a request in the body, by Content-Length', (port) => {
    const body = hidden(port);
    return request(port, ['Connection: keep-alive', `Content-Length: ${body.length}`]) + body;
  }),
  attack('a request in a chunk', (port) => {
    const body = hidden(port);
    const chunks = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
    return request(port, ['Connection: keep-alive', 'Transfer-Encoding: chunked']) + chunks;
  }),
  attack('both lengths, the request after the last chunk', (port) => {
    const body = `0\r\n\r\n${hidden(port)}`;
    return (
      request(port, ['Connection: keep-alive', `Content-Length: ${body.length}`, 'Transfer-Encoding: chunked']) + body
    );
  }),
  attack(
    'both lengths, the other way round',
    (port) =>
      request(port, ['Connection: keep-alive', 'Transfer-Encoding: chunked', 'Content-Length: 4']) +
      `0\r\n\r\n${hidden(port)}`,
  ),
  lines('an unknown encoding', 'Transfer-Encoding: xchunked'),
  lines('an encoding after the chunks', 'Transfer-Encoding: chunked, identity'),
  lines('no encoding', 'Transfer-Encoding: identity'),
  lines('two encodings', 'Transfer-Encoding: chunked', 'Transfer-Encoding: identity'),
  lines('a space before the colon', 'Transfer-Encoding : chunked'),
  lines('a vertical tab before the value', 'Transfer-Encoding:\u000bchunked'),
  ...['+0', '-0', '0x0', '0 0', '0,0', '1e1', '٣', ''].map((length) =>
    lines(`Content-Length ${JSON.stringify(length)}`, `Content-Length: ${length}`),
  ),
  lines('two lengths', 'Content-Length: 0', 'Content-Length: 5'),
  lines('the same length twice', 'Content-Length: 0', 'Content-Length: 0'),
  attack('the header in a trailer', (port) =>
    [
      without(request(port, ['Transfer-Encoding: chunked', 'Trailer: X-Vault-Request']), 'x-vault-request'),
      '0\r\nX-Vault-Request: true\r\n\r\n',
    ].join(''),
  ),
  attack('lines that end without CR', (port) => request(port).replaceAll('\r\n', '\n')),
  attack('one line that ends without CR', (port) => request(port).replace(`:${port}\r\n`, `:${port}\n`)),
  attack('lines that end without LF', (port) => request(port).replaceAll('\r\n', '\r')),
  lines('a folded line', 'X-A: b', ' X-B: c'),
  lines('a header folded into its value', 'X-A:', '\ttrue'),
  lines('NUL in a value', 'X-A: b\u0000c'),
  lines('a line without a colon', 'X-A'),
  lines('a line without a name', ': a'),
  lines('a name with a space', 'X A: b'),
  attack('a space before the first name', (port) => request(port).replace('Host:', ' Host:')),
  attack('HTTP/1.0', (port) => request(port, [], 'GET /v1/token HTTP/1.0')),
  attack('HTTP/0.9', () => 'GET /v1/token\r\n\r\n'),
  attack('HTTP/1.2', (port) => request(port, [], 'GET /v1/token HTTP/1.2')),
  attack('HTTP/2 by its version', (port) => request(port, [], 'GET /v1/token HTTP/2.0')),
  attack('a protocol of another name', (port) => request(port, [], 'GET /v1/token HTTQ/1.1')),
  attack(
    'an HTTP/2 preface',
    () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\u0000\u0000\u0000\u0004\u0000\u0000\u0000\u0000\u0000',
  ),
  attack('a TLS hello', () => TLS_HELLO),
  attack('an asterisk as the target', (port) => request(port, [], 'OPTIONS * HTTP/1.1')),
  attack('a target without a slash', (port) => request(port, [], `GET ${MARKER} HTTP/1.1`)),
  attack('a tunnel', (port) => request(port, [], `CONNECT 127.0.0.1:${port} HTTP/1.1`), []),
  attack('an expectation that nobody has', (port) => request(port, [`Expect: ${MARKER}`]), [417]),
];

const attack9 = (name: string, statuses: readonly number[], bytes: (port: number) => string): Attack => ({
  name: `${name} (G9)`,
  statuses,
  bytes,
});

export const HUGE: readonly Attack[] = [
  attack9('a header of 20 kB', [431], (port) => request(port, [`X-A: ${MARKER.repeat(3000)}`])),
  attack9('a header name of 20 kB', [431], (port) => request(port, [`${MARKER.repeat(3000)}: a`])),
  attack9('three thousand headers', [431], (port) =>
    request(
      port,
      Array.from({ length: 3000 }, (_, n) => `X-${n}: ${MARKER}`),
    ),
  ),
  attack9('a target of 14 kB', [414, 431], (port) => request(port, [], `GET /v1/${MARKER.repeat(2000)} HTTP/1.1`)),
  attack9('a query of 14 kB', [414, 431], (port) => request(port, [], `GET /v1/token?${MARKER.repeat(2000)} HTTP/1.1`)),
  attack9('a name of an exchange of 7 kB', [400, 404, 414], (port) =>
    request(port, [], `GET /v1/token/${MARKER.repeat(1000)} HTTP/1.1`),
  ),
  attack9(
    'a header without an end',
    [431],
    (port) => `GET /v1/token HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nX-A: ${MARKER.repeat(10_000)}`,
  ),
];
