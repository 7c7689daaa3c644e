// The connections of one listener. When all places are taken, an idle connection makes room for a new client; a client that
// pipelines is cut. So neither silence nor pipelining keeps another client out.

import { readFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

const MOST_CONNECTIONS = 64;
/** File descriptors reserved for the daemon itself: connections to Vault, and the files that it reads and writes. */
const OWN_FILES = 48;

/** a request of the usual size */
const SLICE_BYTES = 512;

/** Connections at a time, of each listener: fewer where few files may be open. */
export function mostConnections(): number {
  const [, files = ''] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
  if (files === '') return MOST_CONNECTIONS;
  return Math.max(4, Math.min(MOST_CONNECTIONS, Math.floor((Number(files) - OWN_FILES) / 2)));
}

export interface LimitedServer {
  readonly server: Server;
  /** Cuts every connection without a request in flight. */
  cutIdle(): void;
}

/** Answers one request of a connection at a time: a client that pipelines is cut. */
export function createLimitedServer(options: ServerOptions, most: number, handle: RequestListener): LimitedServer {
  // the response in flight on each connection, undefined on an idle one; the last change of each comes last
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
  // Node would answer these without a handler, and so without a limit
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
 * Hands what a client sends to Node's parser in slices, so that a cut ends the parsing too: the 2,000 requests that fit in
 * one read of 64 KiB would block the event loop for 50 ms.
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

/** Cuts the connection that has been idle for longest, else the newcomer: a request in flight is never cut for another. */
function evictIdle(open: Connections, newcomer: Socket): void {
  const idle = [...open].find(([socket, response]) => response === undefined && !socket.destroyed);
  const [socket] = idle ?? [newcomer];
  socket.destroy();
}
