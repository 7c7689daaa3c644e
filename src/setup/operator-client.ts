// The client for requests with the operator's token.

import { ExchangeError } from '../core/errors.ts';
import type { VaultSettings } from '../core/settings.ts';
import { withCorrelationIds } from '../exchange/correlation.ts';
import { openVaultClient, type VaultClient } from '../vault/client.ts';

/**
 * Opens a client that follows no redirect to another host: the hosts that an exchange may be redirected to come from a config,
 * and the operator's token is for the host in VAULT_ADDR.
 */
export function openOperatorClient(vault: VaultSettings, nextCorrelationId: () => string): VaultClient {
  const { send, close } = withCorrelationIds(openVaultClient({ ...vault, redirectHosts: [] }), nextCorrelationId);
  return {
    close,
    send: (request) =>
      send(request).catch((error: unknown) => {
        if (error instanceof ExchangeError && error.failure.code === 'redirect_blocked')
          throw new ExchangeError('setup_redirected', error.failure.facts);
        throw error;
      }),
  };
}
