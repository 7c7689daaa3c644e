// The bodies of clients' requests. A small one is read first, so that it can be sent again after a redirect; a larger one is streamed.

import type { IncomingMessage } from 'node:http';
import { PassThrough, type Readable } from 'node:stream';
import { STALLED_MS } from '../network/forward.ts';

const SMALL_BYTES = 64 * 1024;

/**
 * Returns the body, as a stream if it is large; null if there is none.
 * @param isNeeded the body must be read: undefined is returned if it is too large for that
 */
export async function bodyOf(
  request: IncomingMessage,
  isNeeded: boolean,
): Promise<Buffer | Readable | null | undefined> {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  if (encoding === undefined && Number(length ?? 0) === 0) return null;
  disconnectIfStalled(request);
  if (!isNeeded && !(Number(length) <= SMALL_BYTES)) return streamOf(request);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > SMALL_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Vault may answer before it has read the body: the rest is read and dropped, as its client may send it before it reads. */
function streamOf(request: IncomingMessage): Readable {
  const stream = request.pipe(new PassThrough());
  return stream.once('close', () => request.resume());
}

/** Disconnects a client that stops sending its body; not one whose body waits for Vault. */
function disconnectIfStalled(request: IncomingMessage): void {
  const { socket } = request;
  socket.setTimeout(STALLED_MS);
  request.on('timeout', () => {
    if (request.readableLength === 0) socket.destroy();
  });
  request.once('end', () => socket.setTimeout(0));
}
