// Makes an app listen on a TCP address or on a unix socket. A socket is created under a temporary name and linked to its path
// once it has its group and mode. So no client meets it half-way, it replaces nothing that appears meanwhile, and Node, which
// removes at the close any file at the path that it bound, finds none.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, lchown, link, lstat, rename, stat, unlink } from 'node:fs/promises';
import { connect, isIPv6 } from 'node:net';
import { dirname } from 'node:path';
import { defined } from '../core/defined.ts';
import { ExchangeError } from '../core/errors.ts';
import { ADDRESS_PROBLEMS, type ListenerProblem } from '../core/listener-problems.ts';
import { isSocket, type ListenAddress, listenText, type SocketAddress } from '../core/settings.ts';

export interface Listener {
  listen(address: { readonly host: string; readonly port: number } | { readonly path: string }): Promise<string>;
  addHook(name: 'preClose', hook: () => Promise<void>): unknown;
}

/**
 * Listens until the app is closed. Call it once for an app, before any other `listen` or `ready`.
 * @returns the URL of the bound address; unix:/path for a socket
 * @throws ExchangeError listen_failed; the caller then closes the app
 */
export async function listen(app: Listener, address: ListenAddress): Promise<string> {
  if (isSocket(address)) return listenOnSocket(app, address);
  const { host, port } = address;
  const url = await app.listen({ host, port }).catch(failed(address, ADDRESS_PROBLEMS));
  // Fastify names a loopback address in place of 0.0.0.0 and ::.
  return `http://${isIPv6(host) ? `[${host}]` : host}${/:\d+$/.exec(url)?.[0]}`;
}

async function listenOnSocket(app: Listener, address: SocketAddress): Promise<string> {
  const { path, mode, gid } = address;
  let inode: number | undefined;
  app.addHook('preClose', async () => {
    // The operator or another instance may have replaced it.
    if (inode !== undefined && (await inodeAt(path)) === inode) await unlink(path).catch(() => {});
  });
  await stat(dirname(path)).catch(failed(address, { ENOENT: 'no-directory', ENOTDIR: 'no-directory' }));
  const temporary = beside(path);
  // The umask of main.ts keeps everybody else out until the mode is set.
  await app.listen({ path: temporary }).catch(failed(address, DENIED));
  // The group first: the mode of another group must not count for the sidecar's own.
  if (gid !== undefined) await lchown(temporary, -1, gid).catch(failed(address, { EPERM: 'group' }));
  await chmod(temporary, mode).catch(failed(address, DENIED));
  await removeStale(address);
  await link(temporary, path).catch(failed(address, { ...DENIED, EEXIST: 'taken' }));
  inode = await inodeAt(temporary);
  await unlink(temporary).catch(failed(address, DENIED));
  return listenText(address);
}

/** Removes the socket of a process that has ended. @throws ExchangeError listen_failed if there is anything else */
async function removeStale(address: SocketAddress): Promise<void> {
  const { path } = address;
  const occupant = await occupantOf(path).catch(failed(address, DENIED));
  if (occupant === undefined) return;
  if (occupant !== 'stale') throw refusal(address, { problem: occupant });
  const aside = beside(path);
  await rename(path, aside).catch(failed(address, { ...DENIED, ENOENT: 'taken' }));
  // Another instance that starts now may have put its socket there since the first look; the link then finds it there.
  const isStale = (await occupantOf(aside).catch(failed(address, DENIED))) === 'stale';
  await (isStale ? unlink(aside) : rename(aside, path)).catch(failed(address, DENIED));
}

/** Returns a name in the same directory. Its length counts in config/address.ts. */
const beside = (path: string): string => `${path}.${randomBytes(3).toString('hex')}`;

/** Returns what is at the path of a socket; undefined if nothing is. @throws NodeJS.ErrnoException if that can't be found out */
export async function occupantOf(path: string): Promise<'stale' | 'taken' | 'not-a-socket' | undefined> {
  const stats = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (stats === undefined) return undefined;
  if (!stats.isSocket()) return 'not-a-socket';
  const socket = connect({ path });
  try {
    await once(socket, 'connect');
    return 'taken';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ECONNREFUSED') return 'stale';
    if (code === 'ENOENT') return undefined;
    // its queue of connections is full
    if (code === 'EAGAIN') return 'taken';
    throw error;
  } finally {
    socket.destroy();
  }
}

const inodeAt = (path: string): Promise<number | undefined> =>
  lstat(path).then(
    ({ ino }) => ino,
    () => undefined,
  );

type Problems = typeof ADDRESS_PROBLEMS;

const DENIED: Problems = { EACCES: 'denied', EPERM: 'denied', EROFS: 'denied' };

/** Returns a function that throws an error as listen_failed. @param problems the problem of an error code */
function failed(address: ListenAddress, problems: Problems): (error: NodeJS.ErrnoException) => never {
  return ({ code: errno = 'unknown error' }) => {
    const problem = problems[errno] ?? (isSocket(address) ? 'not-created' : undefined);
    throw refusal(address, { ...defined({ problem }), errno });
  };
}

const refusal = (address: ListenAddress, why: { problem?: ListenerProblem; errno?: string }): ExchangeError =>
  new ExchangeError('listen_failed', { kind: 'listener', address: listenText(address), ...why });
