// The ids of the calls to Vault, sent as X-Correlation-Id: they connect a log line with Vault's audit log.

import type { VaultClient } from '../vault/client.ts';

/**
 * Returns a function that makes the ids of this process: a random part of 8 hex digits, then the number of the call, such as
 * 9f2c41d7-12. All exchanges share the count, so no two calls have the same id, also after a reload.
 */
export function openCorrelationIds(random: () => number): () => string {
  const instance = Math.floor(random() * 2 ** 32)
    .toString(16)
    .padStart(8, '0');
  let calls = 0;
  return () => {
    calls += 1;
    return `${instance}-${calls}`;
  };
}

/** Returns a client that gives each request an id. */
export const withCorrelationIds = ({ send, close }: VaultClient, nextId: () => string): VaultClient => ({
  send: (request) => send({ ...request, correlationId: nextId() }),
  close,
});
