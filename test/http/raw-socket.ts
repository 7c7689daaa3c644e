// Bytes over a real socket, as a browser, a proxy or an attacker would send them, and what comes back.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export type Bytes = string | Uint8Array;
/** The port of a listener, or the path of its unix socket. */
export type Target = number | string;

/** Sends bytes and gives back all that comes until the connection is closed, by us once a reply has begun. */
export async function ask(target: Target, bytes: Bytes): Promise<string> {
  const { socket, answer } = openSocket(target);
  socket.once('data', () => socket.end());
  socket.write(bytes);
  await closed(socket);
  return answer();
}

/** Sends a request `count` times over one connection, each after the answer before; ends early where the peer closes. */
export async function askInTurn(port: number, bytes: Bytes, count: number): Promise<string> {
  const { socket, answer } = openSocket(port);
  let sent = 0;
  const next = () => {
    if (repliesIn(answer()) < sent) return;
    if (sent === count) socket.end();
    else socket.write(bytes);
    sent += 1;
  };
  socket.on('data', next);
  next();
  await closed(socket);
  return answer();
}

/** Whole replies, each with a Content-Length. */
function repliesIn(answer: string): number {
  for (let [count, from] = [0, 0]; ; count += 1) {
    const end = answer.indexOf('\r\n\r\n', from);
    const length = /\r\ncontent-length: (\d+)/i.exec(answer.slice(from, end))?.[1];
    from = end + 4 + Number(length);
    if (end === -1 || !(answer.length >= from)) return count;
  }
}

/** The same for bytes that may be no whole request: our end is closed behind them, so that nobody waits for more. */
export async function askWithoutMore(port: number, bytes: Bytes): Promise<string> {
  const { socket, answer } = openSocket(port);
  socket.end(bytes);
  await closed(socket);
  return answer();
}

export interface Conversation {
  readonly socket: Socket;
  /** what has come so far; each byte is one character */
  answer(): string;
}

/** A connection that stays open on our side; errors of a peer that cuts it off are no news. */
export function openSocket(target: Target): Conversation {
  const socket = typeof target === 'number' ? connect(target, '127.0.0.1') : connect(target);
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk.toString('latin1');
  });
  socket.on('error', () => {});
  return { socket, answer: () => answer };
}

/** Resolves when either side has closed the connection. */
export async function closed(socket: Socket): Promise<void> {
  if (!socket.closed) await once(socket, 'close').catch(() => {});
}

/** Of each reply in `answer`, in order. */
export const statusesIn = (answer: string): number[] =>
  [...answer.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status)).filter((status) => status !== 100);

export const portOf = (url: string): number => Number(new URL(url).port);

/** The request that an application beside the sidecar sends, with lines after its own or, by the same name, in their place. */
export function request(port: number, lines: readonly string[] = [], first = 'GET /v1/token HTTP/1.1'): string {
  const names = new Set(lines.map((line) => line.split(':', 1)[0]?.toLowerCase()));
  const own = [`Host: 127.0.0.1:${port}`, 'X-Vault-Request: true', 'Connection: close'];
  const kept = own.filter((line) => !names.has(line.split(':', 1)[0]?.toLowerCase()));
  return [first, ...kept, ...lines, '', ''].join('\r\n');
}

/** The same without the lines of these names. */
export const without = (text: string, ...names: readonly string[]): string =>
  text
    .split('\r\n')
    .filter((line) => !names.some((name) => line.toLowerCase().startsWith(`${name}:`)))
    .join('\r\n');
