// The Vault token of the person at the keyboard, from where Vault's own CLI takes it. It only goes to the Vault that it is for.

import { join } from 'node:path';
import { Secret } from '../core/secret.ts';
import type { VaultSettings } from '../core/settings.ts';
import { isFileProblem, readSmallFile } from '../files/small-file.ts';
import { type Io, UsageError } from './command.ts';

/** @throws UsageError if there is none, or it is for another Vault */
export async function operatorToken({ address }: VaultSettings, io: Io): Promise<Secret> {
  const token = await findOperatorToken(io);
  if (token === undefined)
    throw new UsageError('no Vault token to work with: log in with "vault login", or set VAULT_TOKEN');
  if (!isFor(address, io))
    throw new UsageError(`the Vault token is for VAULT_ADDR, but the exchange logs in to ${address}`);
  return token;
}

/** The same where it is a help and no need; undefined if there is none for this Vault. */
export async function operatorTokenIfAny({ address }: VaultSettings, io: Io): Promise<Secret | undefined> {
  return isFor(address, io) ? findOperatorToken(io) : undefined;
}

async function findOperatorToken({ env }: Io): Promise<Secret | undefined> {
  const text = env['VAULT_TOKEN'] || env['BAO_TOKEN'] || (await tokenFromLogin(env['HOME']));
  // as short as "root" in a server's development mode
  return /^[\x21-\x7e]+$/.test(text.trim()) ? new Secret(text.trim()) : undefined;
}

/** What "vault login" left; empty if there is nothing that can be read. */
async function tokenFromLogin(home: string | undefined): Promise<string> {
  if (home === undefined) return '';
  const file = await readSmallFile(join(home, '.vault-token'));
  return isFileProblem(file) ? '' : file.text;
}

function isFor(address: string, { env }: Io): boolean {
  const given = env['VAULT_ADDR'] || env['BAO_ADDR'];
  return given === undefined || given === '' || (URL.canParse(given) && new URL(given).origin === address);
}
