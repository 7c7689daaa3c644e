// Another Vault as the issuer: its identity token is the workload JWT. Each reading requests a new identity token; the
// core decides how often.

import { ExchangeError, unlessFailure } from '../core/errors.ts';
import { isTokenText, Secret } from '../core/secret.ts';
import type { VaultIdentitySettings } from '../core/settings.ts';
import { identityRequest, judgeIdentity, type VaultReply, type VaultRequest } from '../core/vault-protocol.ts';
import { isFileProblem, readSmallFile } from '../files/small-file.ts';
import type { JwtSource } from './source.ts';

export interface IdentityVault {
  send(request: VaultRequest): Promise<VaultReply>;
  close(): Promise<void>;
}

export interface IdentityTools {
  readonly vault: IdentityVault;
  /** returns the valid Vault token of another exchange */
  readonly tokenOf: (exchange: string) => Secret | undefined;
}

export function openVaultIdentitySource(settings: VaultIdentitySettings, { vault, tokenOf }: IdentityTools): JwtSource {
  return {
    watched: true,
    async read() {
      const token = await authenticatingToken(settings, tokenOf);
      return unlessFailure(judgeIdentity(await vault.send(identityRequest(settings, token)), [token]));
    },
    close: () => vault.close(),
  };
}

async function authenticatingToken(
  { token }: VaultIdentitySettings,
  tokenOf: IdentityTools['tokenOf'],
): Promise<Secret> {
  if ('exchange' in token) {
    const secret = tokenOf(token.exchange);
    if (secret === undefined)
      throw new ExchangeError('identity_token_missing', { kind: 'exchange-without-token', exchange: token.exchange });
    return secret;
  }
  const file = await readSmallFile(token.file);
  if (isFileProblem(file))
    throw new ExchangeError('identity_token_missing', { kind: 'file', path: token.file, ...file });
  const text = file.text.trim();
  if (!isTokenText(text))
    throw new ExchangeError('identity_token_missing', { kind: 'file', path: token.file, problem: 'no-token' });
  return new Secret(text);
}
