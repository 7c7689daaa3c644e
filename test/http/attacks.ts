// Requests that must not get the token, each as the browser, proxy or attacker would send it: a good request with that one
// thing wrong. Each carries a marker, which no reply may repeat.

import { type Bytes, request, without } from './raw-socket.ts';

export interface Attack {
  readonly name: string;
  readonly statuses: readonly number[];
  readonly bytes: (port: number) => Bytes;
}

export const MARKER = 'zq7echo';

const CHROME = [
  'Connection: close',
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36',
  'Accept: */*',
  'Accept-Encoding: gzip, deflate, br, zstd',
  'Accept-Language: en-US,en;q=0.9',
];
const PAGE = `http://evil.example/${MARKER}`;
const CROSS_SITE = ['Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: no-cors', 'Sec-Fetch-Dest: empty'];
const NAVIGATION = ['Sec-Fetch-Mode: navigate', 'Sec-Fetch-Dest: iframe', 'Upgrade-Insecure-Requests: 1'];
const POST_REFRESH = 'POST /v1/token/app/refresh HTTP/1.1';
const POST_TOKEN = 'POST /v1/token HTTP/1.1';

type Lines = (port: number) => readonly string[];
const attack = (name: string, statuses: readonly number[], bytes: Attack['bytes']): Attack => ({
  name,
  statuses,
  bytes,
});
const withLines = (name: string, status: number, lines: Lines, first?: string): Attack =>
  attack(name, [status], (port) => request(port, [...lines(port), `X-Marker: ${MARKER}`], first));

/** After DNS rebinding to 127.0.0.1, a page is same-origin: it can set any header except Host. */
const rebound = (host: (port: number) => string): Attack =>
  withLines(`a rebound name, Host ${host(8275)} (G1)`, 403, (port) => [`Host: ${host(port)}`, ...CHROME]);

export const REBINDING: readonly Attack[] = [
  ...[
    (port: number) => `evil.example:${port}`,
    () => 'evil.example',
    (port: number) => `127.0.0.1.evil.example:${port}`,
    (port: number) => `localhost.evil.example:${port}`,
    (port: number) => `127.0.0.1:${port}.evil.example`,
    (port: number) => `evil.example#127.0.0.1:${port}`,
    (port: number) => `evil.example@127.0.0.1:${port}`,
    (port: number) => `127.0.0.1:${port}, evil.example`,
    (port: number) => `0.0.0.0:${port}`,
    (port: number) => `[::]:${port}`,
    (port: number) => `[::ffff:127.0.0.1]:${port}`,
    (port: number) => `2130706433:${port}`,
    (port: number) => `127.1:${port}`,
    (port: number) => `localhost.:${port}`,
    () => 'localhost:1',
    () => '127.0.0.1',
    () => '',
  ].map(rebound),
  attack('no Host (G1)', [400], (port) => without(request(port), 'host')),
  withLines('two Hosts, the good one first (G1)', 403, (port) => [`Host: 127.0.0.1:${port}`, 'Host: evil.example']),
  withLines('two Hosts, the good one last (G1)', 403, (port) => ['Host: evil.example', `Host: 127.0.0.1:${port}`]),
  withLines('the good Host twice (G1)', 403, (port) => [`Host: 127.0.0.1:${port}`, `Host: 127.0.0.1:${port}`]),
  withLines('an absolute target of another host (G1)', 400, () => [], 'GET http://evil.example/v1/token HTTP/1.1'),
  attack('an absolute target of our own (G1)', [400], (port) =>
    request(port, [], `GET http://127.0.0.1:${port}/v1/token HTTP/1.1`),
  ),
];

export const CROSS_SITE_REQUESTS: readonly Attack[] = [
  withLines('a fetch of another site, without CORS (G3)', 403, () => [...CHROME, ...CROSS_SITE, `Referer: ${PAGE}`]),
  withLines('a fetch with CORS (G3)', 403, () => [...CHROME, `Origin: http://evil.example`, 'Sec-Fetch-Mode: cors']),
  withLines('from a sandboxed frame (G3)', 403, () => [...CHROME, 'Origin: null']),
  withLines('an Origin that is our own (G3)', 403, (port) => [...CHROME, `Origin: http://127.0.0.1:${port}`]),
  withLines('an empty Origin (G3)', 403, () => ['Origin:']),
  withLines('another port of this machine (G3)', 403, () => [...CHROME, 'Sec-Fetch-Site: same-site']),
  withLines('a page that we never served (G3)', 403, () => [...CHROME, 'Sec-Fetch-Site: same-origin']),
  withLines('a frame (G3)', 403, () => [...CHROME, 'Sec-Fetch-Site: cross-site', ...NAVIGATION]),
  attack('a typed address (G2)', [412], (port) =>
    without(request(port, [...CHROME, 'Sec-Fetch-Site: none', ...NAVIGATION]), 'x-vault-request'),
  ),
  withLines(
    'a preflight, for a private network too (G3)',
    403,
    () => [
      ...CHROME,
      'Origin: http://evil.example',
      'Access-Control-Request-Method: GET',
      'Access-Control-Request-Headers: x-vault-request',
      'Access-Control-Request-Private-Network: true',
    ],
    'OPTIONS /v1/token HTTP/1.1',
  ),
  withLines('a preflight without an Origin (G3)', 403, () => [], 'OPTIONS /v1/token HTTP/1.1'),
  withLines('a web socket (G3)', 403, () => [
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Origin: http://evil.example',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  ]),
  withLines('an event stream (G3)', 403, () => [...CHROME, ...CROSS_SITE, 'Accept: text/event-stream']),
];

const posted = (name: string, type: string, body: string, first = POST_REFRESH): Attack =>
  attack(`${name} (G5)`, [400], (port) => {
    const lines = [`Content-Type: ${type}`, `Content-Length: ${body.length}`];
    return request(port, lines, first) + body;
  });

export const BODIES: readonly Attack[] = [
  posted('a form', 'application/x-www-form-urlencoded', `a=${MARKER}`),
  posted('a form as text, which looks like JSON', 'text/plain', `{"a":"=${MARKER}"}`),
  posted('a form in parts', 'multipart/form-data; boundary=x', `--x\r\n\r\n${MARKER}\r\n--x--\r\n`),
  posted('JSON', 'application/json', `{"a":"${MARKER}"}`),
  posted('a beacon', 'text/plain;charset=UTF-8', MARKER, POST_TOKEN),
  posted('a GET with a body', 'text/plain', MARKER, 'GET /v1/token HTTP/1.1'),
  withLines('a POST where only GET is (G5)', 404, () => ['Content-Length: 0'], POST_TOKEN),
  ...['HEAD', 'PUT', 'DELETE', 'PATCH', 'TRACE', 'PROPFIND'].map((method) =>
    withLines(`${method} (G5)`, 404, () => [], `${method} /v1/token HTTP/1.1`),
  ),
];

const header = (name: string, ...lines: readonly string[]): Attack =>
  attack(`${name} (G2)`, [412], (port) => {
    const [first = '', ...rest] = without(request(port), 'x-vault-request').split('\r\n');
    return [first, ...lines, `X-Marker: ${MARKER}`, ...rest].join('\r\n');
  });

export const THROUGH_THE_APPLICATION: readonly Attack[] = [
  header('a URL that the application fetches', 'User-Agent: python-requests/2.32.5', 'Accept: */*'),
  ...['false', 'True', 'TRUE', '1', '', 'true, true', '"true"', 'true;'].map((value) =>
    header(`the header says ${JSON.stringify(value)}`, `X-Vault-Request: ${value}`),
  ),
  header('the header twice', 'X-Vault-Request: true', 'X-Vault-Request: true'),
  header('the header by another name', 'X_Vault_Request: true', 'X-Vault-Requests: true'),
  attack('the header as a parameter (G2)', [412], (port) =>
    without(request(port, [], `GET /v1/token?x-vault-request=true&q=${MARKER} HTTP/1.1`), 'x-vault-request'),
  ),
  ...[
    'X-Forwarded-For: 10.0.0.1',
    'X-Forwarded-For:',
    'x-forwarded-host: evil.example',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Port: 443',
    'X-Forwarded-Prefix: /x',
    'FORWARDED: for=10.0.0.1;host=evil.example',
    'Via: 1.1 varnish',
    'X-Real-IP: 10.0.0.1',
  ].map((line) => withLines(`${line} (G4)`, 403, () => [line])),
];
