// Where a Vault token is valid: at the Vault that granted it, in the namespace of its login. Neither a timeout nor a CA
// changes that, so a reload of those keeps the token.

import type { ExchangeSettings } from './settings.ts';
import type { TokenOrigin } from './state.ts';

export const originOf = ({ vault, login }: ExchangeSettings): TokenOrigin => ({
  address: vault.address,
  namespace: login.namespace,
});

export const isSameOrigin = (one: TokenOrigin, other: TokenOrigin): boolean =>
  one.address === other.address && one.namespace === other.namespace;
