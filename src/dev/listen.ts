// A minimal HTTP server for the in-memory issuer and Vault, on a real socket.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';

export interface TlsPair {
  readonly cert: string;
  readonly key: string;
}

export interface PlainRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface PlainReply {
  readonly status: number;
  /** a string is sent unchanged, anything else as JSON */
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Handles a request. A request for which it returns undefined hangs. */
export type Handler = (request: PlainRequest) => PlainReply | undefined | Promise<PlainReply | undefined>;

export interface ListenOptions {
  readonly port?: number;
  readonly tls?: TlsPair;
}

export async function listenOn(
  { port = 0, tls }: ListenOptions,
  handle: Handler,
): Promise<{ url: string; close(): Promise<void> }> {
  const answer = (request: IncomingMessage, response: ServerResponse) => void respond(request, response, handle);
  const server = tls === undefined ? createServer(answer) : createTlsServer(tls, answer);
  const listener = tls === undefined ? server : withHttpError(server);
  const sockets = new Set<Socket>();
  listener.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(port, '127.0.0.1', resolve);
  });
  const bound = listener.address() as AddressInfo;
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${bound.port}`,
    close: () =>
      new Promise((resolve) => {
        listener.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** The first byte of every TLS connection (RFC 8446, section 5.1: a handshake record). */
const HANDSHAKE = 22;

/** Wraps a TLS server, and answers plain HTTP with an error message, as Go's servers do. */
function withHttpError(server: Server): Server {
  return createTcpServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (first) => {
      if (first[0] !== HANDSHAKE)
        return socket.end('HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n');
      socket.pause();
      socket.unshift(first);
      return server.emit('connection', socket);
    });
  });
}

async function respond(request: IncomingMessage, response: ServerResponse, handle: Handler): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const path = new URL(request.url ?? '/', 'http://127.0.0.1').pathname;
  const reply = await handle({
    method: request.method ?? 'GET',
    path,
    headers: request.headers,
    body: Buffer.concat(chunks).toString(),
  });
  if (reply === undefined) return;
  const isText = typeof reply.body === 'string';
  response.writeHead(reply.status, { 'content-type': isText ? 'text/plain' : 'application/json', ...reply.headers });
  response.end(isText ? reply.body : reply.body === undefined ? '' : JSON.stringify(reply.body));
}
