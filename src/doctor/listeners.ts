// Whether the daemon could listen where it is told to, or does so already.

import { once } from 'node:events';
import { createServer } from 'node:net';
import type { ListenerFacts } from '../core/evidence.ts';
import type { ListenAddress, Settings } from '../core/settings.ts';

/** @param answers whether a running sidecar is at the ops listener: then both are its own */
export async function inspectListeners(
  { api, ops }: Settings,
  answers: () => Promise<boolean>,
): Promise<readonly ListenerFacts[]> {
  const ours = await answers();
  return Promise.all([inspect('api.listen', api.listen, ours), inspect('ops.listen', ops.listen, ours)]);
}

async function inspect(
  key: ListenerFacts['key'],
  { host, port }: ListenAddress,
  ours: boolean,
): Promise<ListenerFacts> {
  const address = `${host}:${port}`;
  const server = createServer();
  try {
    server.listen({ host, port, exclusive: true });
    await once(server, 'listening');
    return { key, address, state: 'free' };
  } catch (error) {
    const isTaken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
    return { key, address, state: isTaken ? (ours ? 'ours' : 'taken') : 'unusable' };
  } finally {
    server.close();
  }
}
