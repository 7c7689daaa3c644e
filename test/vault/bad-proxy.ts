// A TCP proxy in front of Vault that drops, cuts or truncates its replies.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

/** `hold`: no reply; `cut`: a reset at the first byte; `truncate`: half of the reply, then the end of the connection. */
export type Mischief = 'none' | 'hold' | 'cut' | 'truncate';

export interface BadProxy {
  readonly url: string;
  mischief: Mischief;
}

export async function openBadProxy(t: TestContext, target: string): Promise<BadProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const vault = connect(Number(new URL(target).port), '127.0.0.1');
    for (const [one, other] of [
      [client, vault],
      [vault, client],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => proxy.mischief !== 'hold' && other.destroy());
    }
    client.pipe(vault);
    vault.on('data', (bytes: Buffer) => {
      if (proxy.mischief === 'none') client.write(bytes);
      if (proxy.mischief === 'cut') client.resetAndDestroy();
      if (proxy.mischief === 'truncate') client.end(bytes.subarray(0, bytes.length / 2));
    });
    vault.on('end', () => proxy.mischief !== 'hold' && client.end());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const proxy: BadProxy = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, mischief: 'none' };
  return proxy;
}
