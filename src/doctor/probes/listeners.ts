// Checks whether the daemon can listen on its addresses or already does, and whether the caller token is readable.

import { once } from 'node:events';
import { access, constants } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { isFailure } from '../../core/errors.ts';
import { ADDRESS_PROBLEMS } from '../../core/listener-problems.ts';
import { isSocket, type ListenAddress, listenText, type Settings, type TcpAddress } from '../../core/settings.ts';
import { readCallerToken } from '../../http/caller-token.ts';
import { occupantOf } from '../../http/listen.ts';
import type { ListenerFacts } from '../diagnose/evidence.ts';

/** @param answers reports whether a running sidecar listens at ops.listen; if so, taken addresses count as its own */
export async function inspectListeners(
  { api, ops, exchanges }: Settings,
  answers: () => Promise<boolean>,
): Promise<readonly ListenerFacts[]> {
  const ours = await answers();
  const [token, ...listeners] = await Promise.all([
    api.callerTokenFile === undefined ? undefined : readCallerToken(api.callerTokenFile),
    inspect('api.listen', api.listen, ours),
    inspect('ops.listen', ops.listen, ours),
    ...exchanges.flatMap(({ name, proxy }) =>
      proxy === undefined ? [] : [inspect(`exchanges.${name}.proxy.listen`, proxy.listen, ours)],
    ),
  ]);
  const failure = isFailure(token) ? { failure: token } : {};
  return listeners.map((facts) => (facts.key === 'api.listen' ? { ...facts, ...failure } : facts));
}

async function inspect(key: ListenerFacts['key'], listen: ListenAddress, ours: boolean): Promise<ListenerFacts> {
  const state = await (isSocket(listen) ? stateOfPath(listen.path) : stateOfPort(listen));
  return { key, address: listenText(listen), state: state === 'taken' && ours ? 'ours' : state };
}

async function stateOfPort({ host, port }: TcpAddress): Promise<ListenerFacts['state']> {
  const server = createServer();
  try {
    server.listen({ host, port, exclusive: true });
    await once(server, 'listening');
    return 'free';
  } catch (error) {
    return ADDRESS_PROBLEMS[(error as NodeJS.ErrnoException).code ?? ''] ?? 'not-here';
  } finally {
    server.close();
  }
}

async function stateOfPath(path: string): Promise<ListenerFacts['state']> {
  try {
    const occupant = await occupantOf(path);
    if (occupant !== undefined && occupant !== 'stale') return occupant;
    await access(dirname(path), constants.W_OK | constants.X_OK);
    return 'free';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' || code === 'ENOTDIR' ? 'no-directory' : 'denied';
  }
}
