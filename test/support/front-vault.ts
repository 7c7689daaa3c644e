// A server in front of a Vault: answers some requests by itself, and passes the others on.

import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { listen } from './listening.ts';
import type { Scope } from './scope.ts';

/** @param answer answers a request and returns true; false passes it on. @returns the URL */
export async function openFrontVault(
  scope: Scope,
  vault: string,
  answer: (asked: IncomingMessage, response: ServerResponse) => boolean,
): Promise<string> {
  const server = createServer((asked, response) => {
    if (answer(asked, response)) return;
    const { method = 'GET', headers, url } = asked;
    const onward = request(`${vault}${url}`, { method, headers }, (reply) => {
      response.writeHead(reply.statusCode ?? 500, reply.headers);
      reply.pipe(response);
    });
    onward.on('error', () => response.destroy());
    asked.pipe(onward);
  });
  return `http://127.0.0.1:${await listen(scope, server)}`;
}

const CHUNK = Buffer.alloc(64 * 1024);

/** Writes a body of so many bytes, a multiple of 64 KiB, as fast as the client reads. */
export function sendLarge(response: ServerResponse, bytes: number): void {
  let left = bytes / CHUNK.length;
  response.writeHead(200, { 'content-length': bytes });
  const write = () => {
    while (left > 0) {
      left -= 1;
      if (!response.write(CHUNK)) return;
    }
    response.end();
  };
  response.on('drain', write);
  write();
}
