// The Vault token of the person at the keyboard, from where Vault's own CLI takes it. It goes to the Vault that the address
// variable beside it names, and nowhere else: a config may name any Vault.

import { join } from 'node:path';
import { Secret } from '../core/secret.ts';
import type { VaultSettings } from '../core/settings.ts';
import { isFileProblem, readSmallFile } from '../files/small-file.ts';
import type { Io } from '../host/io.ts';

/** The token for this Vault, or why there is none and what to set. */
export type OperatorToken =
  | { readonly token: Secret; readonly without?: undefined }
  | { readonly without: string; readonly token?: undefined };

export async function findOperatorToken({ address }: Pick<VaultSettings, 'address'>, io: Io): Promise<OperatorToken> {
  const { token, variable, given } = await tokenAtHand(io);
  if (given === undefined) {
    const hint = token === undefined ? ', and log in with "vault login" or set VAULT_TOKEN' : '';
    return {
      without: `VAULT_ADDR isn't set, and a token goes only to the Vault that it names: set VAULT_ADDR=${address}${hint}`,
    };
  }
  const origin = URL.canParse(given) ? new URL(given).origin : 'no URL';
  if (origin !== address)
    return { without: `the Vault token is for ${variable} (${origin}), but the exchange logs in to ${address}` };
  return token === undefined ? { without: 'no Vault token: log in with "vault login", or set VAULT_TOKEN' } : { token };
}

interface AtHand {
  readonly token: Secret | undefined;
  /** what names the token's Vault */
  readonly variable: 'VAULT_ADDR' | 'BAO_ADDR';
  /** its value; undefined if it isn't set */
  readonly given: string | undefined;
}

/** A token goes with the address variable of its own family, BAO_* or VAULT_*; with the other one where that isn't set. */
async function tokenAtHand({ env }: Io): Promise<AtHand> {
  const families = env['BAO_TOKEN'] ? (['BAO', 'VAULT'] as const) : (['VAULT', 'BAO'] as const);
  const [own] = families;
  const family = families.find((one) => env[`${one}_ADDR`]) ?? own;
  const text = env[`${own}_TOKEN`] || (await tokenOfLogin(env['HOME']));
  // as short as "root" in a server's development mode
  const token = /^[\x21-\x7e]+$/.test(text.trim()) ? new Secret(text.trim()) : undefined;
  return { token, variable: `${family}_ADDR`, given: env[`${family}_ADDR`] || undefined };
}

/** What "vault login" left. */
async function tokenOfLogin(home: string | undefined): Promise<string> {
  const file = home === undefined ? undefined : await readSmallFile(join(home, '.vault-token'));
  return file === undefined || isFileProblem(file) ? '' : file.text;
}
