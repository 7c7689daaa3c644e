// Relations of exchanges to Vaults and to one another. An exchange with a vault_identity source is "fed" by the
// exchange whose token it requests its JWTs with.

import type { ExchangeSettings, VaultIdentitySettings } from '../../src/core/settings.ts';

export function usesVault({ vault, source }: ExchangeSettings, address: string): boolean {
  return vault.address === address || (source.kind === 'vault-identity' && source.vault.address === address);
}

export function isFedBy({ source }: ExchangeSettings, name: string): boolean {
  return source.kind === 'vault-identity' && isOf(source, name);
}

/** Points each vault_identity source at the Vault of the exchange that feeds it. */
export function withIdentityAddresses(settings: readonly ExchangeSettings[]): ExchangeSettings[] {
  return settings.map((one) => {
    const { source } = one;
    if (source.kind !== 'vault-identity') return one;
    const feeding = settings.find(({ name }) => isOf(source, name)) ?? one;
    if (source.vault.address === feeding.vault.address) return one;
    return { ...one, source: { ...source, vault: { ...source.vault, address: feeding.vault.address } } };
  });
}

const isOf = ({ token }: VaultIdentitySettings, exchange: string): boolean =>
  'exchange' in token && token.exchange === exchange;
