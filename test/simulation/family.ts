// Which exchange has to do with which Vault, and with which other exchange: one may live on the identity tokens that Vault
// gives to another.

import type { ExchangeSettings, VaultIdentitySettings } from '../../src/core/settings.ts';

export function usesVault({ vault, source }: ExchangeSettings, address: string): boolean {
  return vault.address === address || (source.kind === 'vault-identity' && source.vault.address === address);
}

export function isFedBy({ source }: ExchangeSettings, name: string): boolean {
  return source.kind === 'vault-identity' && isOf(source, name);
}

/** The settings with every identity source at the Vault of the exchange whose token it asks with. */
export function fedAnew(settings: readonly ExchangeSettings[]): ExchangeSettings[] {
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
