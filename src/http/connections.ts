// Limits the connections of a listener. At the limit, a new client evicts an idle connection, or one whose client doesn't read. A
// client that pipelines requests is disconnected. So none of these can lock out others.

import { readFileSync } from 'node:fs';
import type { RequestListener, Server, ServerOptions, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { createServer } from '../network/node-http.ts';

const MOST_CONNECTIONS = 64;
/** File descriptors reserved for the daemon itself: connections to Vault, and the files that it reads and writes. */
const OWN_FILES = 48;

/** About the size of a typical request. */
const SLICE_BYTES = 512;
const BODY_SLICE_BYTES = 16 * 1024;

/** @returns the connection limit of a listener, which is lower if the limit of open files is low */
export function mostConnections(listeners = 2, most = MOST_CONNECTIONS): number {
  const [, files = ''] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
  if (files === '') return most;
  return Math.max(4, Math.min(most, Math.floor((Number(files) - OWN_FILES) / listeners)));
}

export interface LimitedServer {
  readonly server: Server;
  /** Closes every connection without a request in flight now, and the others at the end of their request. */
  drain(): void;
}

interface Limits extends ServerOptions {
  /** the maximum number of connections */
  readonly most: number;
  /** changes the first bytes of each request before they are parsed */
  readonly amend?: (chunk: NonSharedBuffer) => NonSharedBuffer;
}

/** Creates a server that handles one request per connection at a time, and disconnects clients that pipeline. */
export function createLimitedServer({ most, amend, ...options }: Limits, handle: RequestListener): LimitedServer {
  // The response in flight per connection; undefined if it is idle. The most recently changed connection is last.
  const open = new Map<Socket, ServerResponse | undefined>();
  let isDraining = false;

  function begin(socket: Socket, response: ServerResponse): boolean {
    if (open.get(socket) !== undefined || !open.has(socket)) {
      socket.destroy();
      return false;
    }
    move(open, socket, response);
    response.once('close', () => {
      if (!open.has(socket)) return;
      if (isDraining) socket.end();
      else move(open, socket, undefined);
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
    feedInSlices(socket, { amend, isInRequest: () => open.get(socket) !== undefined });
    if (open.size > most) evict(open, socket);
  });
  const drain = () => {
    isDraining = true;
    for (const [socket, response] of open) if (response === undefined) socket.destroy();
  };
  return { server, drain };
}

interface Feeding {
  readonly amend: Limits['amend'];
  readonly isInRequest: () => boolean;
}

/**
 * Feeds received data to Node's parser in slices, so that closing the connection also stops the parsing: one read of 64 KiB may
 * contain 2,000 requests, which would block the event loop for 50 ms. Slices of a body are larger, as it may be a gigabyte.
 */
function feedInSlices(socket: Socket, { amend, isInRequest }: Feeding): void {
  const [parse] = socket.listeners('data');
  if (parse === undefined) return;
  socket.removeAllListeners('data');
  let isNext = true;
  socket.on('data', (chunk: NonSharedBuffer) => {
    const isFirst = isNext && !isInRequest();
    const amended = isFirst && amend !== undefined ? amend(chunk) : chunk;
    for (let from = 0; from < amended.length && !socket.destroyed; ) {
      const to = from + (isInRequest() ? BODY_SLICE_BYTES : SLICE_BYTES);
      parse.call(socket, amended.subarray(from, to));
      from = to;
    }
    isNext = isInRequest();
  });
}

type Connections = Map<Socket, ServerResponse | undefined>;

function move(open: Connections, socket: Socket, response: ServerResponse | undefined): void {
  open.delete(socket);
  open.set(socket, response);
}

/**
 * Closes the connection that has been idle for the longest time. If none is idle, closes one whose client doesn't read its response,
 * or else the new connection.
 */
function evict(open: Connections, newcomer: Socket): void {
  const others = [...open].filter(([socket]) => socket !== newcomer && !socket.destroyed);
  const idle = others.find(([, response]) => response === undefined);
  // What is left of a response that has ended waits for the client, too.
  const unread = others.find(([, response]) => response?.writableNeedDrain || response?.writableEnded);
  const [socket] = idle ?? unread ?? [newcomer];
  socket.destroy();
}
