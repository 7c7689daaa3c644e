// Checks whether the daemon can listen on its addresses or already does, and whether the caller token is readable.

import { once } from 'node:events';
import { createServer } from 'node:net';
import { isFailure } from '../../core/errors.ts';
import type { ListenAddress, Settings } from '../../core/settings.ts';
import { readCallerToken } from '../../http/caller-token.ts';
import type { ListenerFacts } from '../diagnose/evidence.ts';

/** @param answers reports whether a running sidecar listens at ops.listen; if so, taken addresses count as its own */
export async function inspectListeners(
  { api, ops }: Settings,
  answers: () => Promise<boolean>,
): Promise<readonly ListenerFacts[]> {
  const ours = await answers();
  const [token, ...listeners] = await Promise.all([
    api.callerTokenFile === undefined ? undefined : readCallerToken(api.callerTokenFile),
    inspect('api.listen', api.listen, ours),
    inspect('ops.listen', ops.listen, ours),
  ]);
  const failure = isFailure(token) ? { failure: token } : {};
  return listeners.map((facts) => (facts.key === 'api.listen' ? { ...facts, ...failure } : facts));
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
