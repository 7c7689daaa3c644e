// Starts a server on loopback, and closes it with all its connections when the test ends.

import type { AddressInfo, Server, Socket } from 'node:net';
import { type Scope, scopeOf } from './scope.ts';

/** @returns its port */
export async function listen(t: Scope, server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket.on('error', () => {})));
  scopeOf(t).after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}
