// Relations of exchanges to Vaults, to files and to one another. An exchange with a vault_identity source is "fed" by the
// exchange whose token it requests its JWTs with.

import type { ExchangeSettings, VaultIdentitySettings } from '../../src/core/settings.ts';
import type { SimulatedVault } from '../support/simulated-vault.ts';
import { DAY } from './plan.ts';

export class Family {
  readonly #settings: () => readonly ExchangeSettings[];
  readonly #vaults: readonly SimulatedVault[];

  /** @param settings returns the config in force */
  constructor(settings: () => readonly ExchangeSettings[], vaults: readonly SimulatedVault[]) {
    this.#settings = settings;
    this.#vaults = vaults;
  }

  of(name: string): ExchangeSettings | undefined {
    return this.#settings().find((one) => one.name === name);
  }

  usesVault(name: string, address: string): boolean {
    const { vault, source } = this.of(name) ?? {};
    return vault?.address === address || (source?.kind === 'vault-identity' && source.vault.address === address);
  }

  isFed = (name: string): boolean => this.of(name)?.source.kind === 'vault-identity';

  /** Whether `exchange` is the exchange `name`, or gets its JWTs with the token of `name`. */
  feeds(name: string, exchange: string): boolean {
    const source = this.of(exchange)?.source;
    return name === exchange || (source?.kind === 'vault-identity' && isOf(source, name));
  }

  writesTo = (name: string, path: string): boolean => this.of(name)?.sinks.some((sink) => sink.path === path) === true;

  /** Whether renewals alone keep a token of this Vault alive for the whole month. */
  renews({ tokenType, maxTtlMs }: SimulatedVault): boolean {
    return tokenType === 'service' && maxTtlMs > 31 * DAY;
  }

  get allRenew(): boolean {
    return this.#vaults.every(this.renews);
  }

  renewsFor(name: string): boolean {
    const address = this.of(name)?.vault.address;
    return this.#vaults.some((vault) => vault.address === address && this.renews(vault));
  }

  /** How often the JWT is read without file events. */
  pollMs(name: string): number {
    const source = this.of(name)?.source;
    return source?.kind === 'file' ? source.pollIntervalMs : 0;
  }
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
