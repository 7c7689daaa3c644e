// The address of a listener, from its three members.

import { defined } from '../core/defined.ts';
import { isSocket, type ListenAddress } from '../core/settings.ts';
import { parseListen } from './address.ts';
import { type Notes, orProblem, take } from './notes.ts';

/** A part of the config with a listener. */
export interface ListenerFile {
  readonly listen?: string;
  readonly socket_mode?: string;
  readonly socket_gid?: number;
}

/** @param at the JSON Pointer of the part, such as /api */
export function listenerAddress(at: string, file: ListenerFile | undefined, notes: Notes): ListenAddress {
  const { listen, socket_mode, socket_gid: gid } = file ?? {};
  const pointer = `${at}/listen`;
  const address = orProblem(pointer, parseListen(take(pointer, listen, notes)), notes);
  if (address === undefined) return { host: '127.0.0.1', port: 0 };
  if (isSocket(address)) {
    const mode = Number.parseInt(take(`${at}/socket_mode`, socket_mode, notes), 8);
    return { ...address, mode, ...defined({ gid }) };
  }
  for (const [name, value] of Object.entries({ socket_mode, socket_gid: gid }))
    if (value !== undefined)
      notes.problems.push({ pointer: `${at}/${name}`, message: 'is for a unix socket: set listen to unix:/path' });
  return address;
}
