// Limits the connections of a listener. At the limit, a new client evicts an idle connection. A client that pipelines requests is
// disconnected. So neither idle nor pipelining clients can lock out others.

import { readFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

const MOST_CONNECTIONS = 64;
/** File descriptors reserved for the daemon itself: connections to Vault, and the files that it reads and writes. */
const OWN_FILES = 48;

/** About the size of a typical request. */
const SLICE_BYTES = 512;

/** Returns the connection limit of each listener, which is lower if the limit of open files is low. */
export function mostConnections(): number {
  const [, files = ''] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
  if (files === '') return MOST_CONNECTIONS;
  return Math.max(4, Math.min(MOST_CONNECTIONS, Math.floor((Number(files) - OWN_FILES) / 2)));
}

export interface LimitedServer {
  readonly server: Server;
  /** Closes every connection without a request in flight. */
  cutIdle(): void;
}

/** Creates a server that handles one request per connection at a time, and disconnects clients that pipeline. */
export function createLimitedServer(options: ServerOptions, most: number, handle: RequestListener): LimitedServer {
  // The response in flight per connection; undefined if it is idle. The most recently changed connection is last.
  const open = new Map<Socket, ServerResponse | undefined>();

  function begin(socket: Socket, response: ServerResponse): boolean {
    if (open.get(socket) !== undefined || !open.has(socket)) {
      socket.destroy();
      return false;
    }
    move(open, socket, response);
    response.once('close', () => {
      if (open.has(socket)) move(open, socket, undefined);
    });
    return true;
  }

  const server = createServer(options, (request, response) => {
    if (begin(request.socket, response)) handle(request, response);
  });
  // Node answers these requests itself, and so without the limit.
  server.on('checkExpectation', ({ socket }, response) => {
    if (begin(socket, response)) response.writeHead(417, { connection: 'close' }).end();
  });
  server.on('connection', (socket: Socket) => {
    open.set(socket, undefined);
    socket.once('close', () => open.delete(socket));
    feedInSlices(socket);
    if (open.size > most) evictIdle(open, socket);
  });
  const cutIdle = () => {
    for (const [socket, response] of open) if (response === undefined) socket.destroy();
  };
  return { server, cutIdle };
}

/**
 * Feeds received data to Node's parser in slices, so that closing the connection also stops the parsing: one read of 64 KiB may
 * contain 2,000 requests, which would block the event loop for 50 ms.
 */
function feedInSlices(socket: Socket): void {
  const [parse] = socket.listeners('data');
  if (parse === undefined) return;
  socket.removeAllListeners('data');
  socket.on('data', (chunk: NonSharedBuffer) => {
    for (let from = 0; from < chunk.length && !socket.destroyed; from += SLICE_BYTES)
      parse.call(socket, chunk.subarray(from, from + SLICE_BYTES));
  });
}

type Connections = Map<Socket, ServerResponse | undefined>;

function move(open: Connections, socket: Socket, response: ServerResponse | undefined): void {
  open.delete(socket);
  open.set(socket, response);
}

/** Closes the connection that has been idle for the longest time. If none is idle, closes the new connection. */
function evictIdle(open: Connections, newcomer: Socket): void {
  const idle = [...open].find(([socket, response]) => response === undefined && !socket.destroyed);
  const [socket] = idle ?? [newcomer];
  socket.destroy();
}
