// The origin of a Vault token: the Vault address and the namespace in which it is valid. A reload that changes only
// other settings of that Vault, such as the timeout or the CA, keeps the token.

import type { ExchangeSettings } from './settings.ts';

/** The one Vault and the one namespace in which a token is valid. */
export interface TokenOrigin {
  readonly address: string;
  readonly namespace: string | undefined;
}

export const originOf = ({ vault, login }: ExchangeSettings): TokenOrigin => ({
  address: vault.address,
  namespace: login.namespace,
});

/** Where an exchange logs in: a token is taken over only by an exchange of the same place. */
export interface TokenPlace {
  readonly vault_address: string;
  readonly namespace: string | null;
  readonly mount: string;
  readonly role: string;
}

export const placeOf = ({ vault, login }: ExchangeSettings): TokenPlace => ({
  vault_address: vault.address,
  namespace: login.namespace ?? null,
  mount: login.mount,
  role: login.role,
});

export const isSameOrigin = (one: TokenOrigin, other: TokenOrigin): boolean =>
  one.address === other.address && one.namespace === other.namespace;
