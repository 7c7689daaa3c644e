// Clients that send many requests, never read, and reconnect as soon as they are closed.

import { connect, type Socket } from 'node:net';
import { request } from './raw-socket.ts';

export interface Swarm {
  /** opened so far */
  connections(): number;
  /** those that got any byte of an answer */
  answered(): number;
  end(): void;
}

/** `count` requests at once, to a route that needs no more headers. */
export const pipelined = (port: number, count: number, path: string): string =>
  request(port, ['Connection: keep-alive'], `GET ${path} HTTP/1.1`).repeat(count);

export function openSwarm(size: number, { port, bytes }: { port: number; bytes: string }): Swarm {
  const open = new Set<Socket>();
  let [opened, answered, ended] = [0, 0, false];
  const attack = (): void => {
    if (ended) return;
    // a paused socket doesn't notice that it was cut, but its writes do
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    open.add(socket);
    opened += 1;
    socket.on('error', () => {});
    socket.once('data', () => {
      answered += 1;
      socket.pause();
    });
    socket.once('close', () => {
      open.delete(socket);
      setImmediate(attack);
    });
    socket.write(bytes);
  };
  for (let client = 0; client < size; client += 1) attack();
  return {
    connections: () => opened,
    answered: () => answered,
    end() {
      ended = true;
      for (const socket of open) socket.destroy();
    },
  };
}
