// Finds the operator's Vault token where Vault's CLI finds it. The token is sent only to the Vault in VAULT_ADDR (or BAO_ADDR), as
// a config may name any Vault.

import { join } from 'node:path';
import { Secret } from '../core/secret.ts';
import type { VaultSettings } from '../core/settings.ts';
import { isFileProblem, readSmallFile } from '../files/small-file.ts';
import type { Io } from '../host/io.ts';

/** The operator's token for a Vault, or the reason why there is none with the variable to set. */
export type OperatorToken =
  | { readonly token: Secret; readonly without?: undefined }
  | { readonly without: string; readonly token?: undefined };

export async function findOperatorToken({ address }: Pick<VaultSettings, 'address'>, io: Io): Promise<OperatorToken> {
  const { token, variable, given } = await tokenAtHand(io);
  if (given === undefined) {
    const hint = token === undefined ? ', and log in with "vault login" or set VAULT_TOKEN' : '';
    return {
      without: `VAULT_ADDR isn't set, and the token is sent only to that Vault: set VAULT_ADDR=${address}${hint}`,
    };
  }
  const origin = URL.canParse(given) ? new URL(given).origin : 'not a URL';
  if (origin !== address)
    return { without: `the Vault token is for ${variable} (${origin}), but the exchange logs in to ${address}` };
  return token === undefined ? { without: 'no Vault token: log in with "vault login", or set VAULT_TOKEN' } : { token };
}

interface AtHand {
  readonly token: Secret | undefined;
  /** the variable with the address of the token's Vault */
  readonly variable: 'VAULT_ADDR' | 'BAO_ADDR';
  /** its value; undefined if it isn't set */
  readonly given: string | undefined;
}

/** Pairs a token with the address of its own family, BAO_* or VAULT_*, or with the other family's if its own isn't set. */
async function tokenAtHand({ env }: Io): Promise<AtHand> {
  const families = env['BAO_TOKEN'] ? (['BAO', 'VAULT'] as const) : (['VAULT', 'BAO'] as const);
  const [own] = families;
  const family = families.find((one) => env[`${one}_ADDR`]) ?? own;
  const text = env[`${own}_TOKEN`] || (await tokenOfLogin(env['HOME']));
  // A token may be as short as "root", in a dev server.
  const token = /^[\x21-\x7e]+$/.test(text.trim()) ? new Secret(text.trim()) : undefined;
  return { token, variable: `${family}_ADDR`, given: env[`${family}_ADDR`] || undefined };
}

/** Reads the token that "vault login" wrote. */
async function tokenOfLogin(home: string | undefined): Promise<string> {
  const file = home === undefined ? undefined : await readSmallFile(join(home, '.vault-token'));
  return file === undefined || isFileProblem(file) ? '' : file.text;
}
