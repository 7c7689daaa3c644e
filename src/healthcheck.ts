// The health check of the image, a separate program: requests /readyz from the ops listener. It only uses node:net, as its memory
// counts towards the sidecar's limit and an HTTP client would double it.
//
// usage: healthcheck.mjs [HOST:PORT | unix:/PATH], by default VTS_OPS_LISTEN or 127.0.0.1:8276

import { connect } from 'node:net';

const TIMEOUT_MS = 3000;

const listen = process.argv[2] || process.env['VTS_OPS_LISTEN'] || '127.0.0.1:8276';
const [, path] = /^unix:(\/.+)$/.exec(listen) ?? [];
const [, listening = '', port = ''] = /^\[?([^\]]*)\]?:(\d+)$/.exec(listen) ?? [];
const host = { '0.0.0.0': '127.0.0.1', '::': '::1' }[listening] ?? listening;

function end(problem?: string): void {
  if (problem !== undefined) process.stderr.write(`not ready: ${problem}\n`);
  process.exit(problem === undefined ? 0 : 1);
}

if (path === undefined && port === '') end(`${JSON.stringify(listen)} is not HOST:PORT or unix:/PATH`);
let answer = '';
const socket = connect(path === undefined ? { host, port: Number(port) } : { path }, () =>
  socket.end(`GET /readyz HTTP/1.1\r\nhost: ${path === undefined ? listen : 'localhost'}\r\nconnection: close\r\n\r\n`),
);
socket.setTimeout(TIMEOUT_MS, () => end(`no answer from ${listen} within ${TIMEOUT_MS / 1000} s`));
socket.on('error', () => end(`can't connect to ${listen}`));
socket.on('data', (chunk) => {
  answer += chunk.toString('latin1');
});
socket.on('end', () => {
  const [head = '', body = ''] = answer.split('\r\n\r\n');
  end(/^HTTP\/1\.1 200 /.test(head) ? undefined : body.trim() || 'no answer');
});
