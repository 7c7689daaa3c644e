// Another Vault as the issuer: its identity token is the workload JWT. A token is kept for half its life, so that looking
// for a new JWT costs a call only when one is due; after a failure that Vault isn't asked again for a while.

import { ExchangeError } from '../core/errors.ts';
import { isTokenText, Secret } from '../core/secret.ts';
import type { VaultIdentitySettings } from '../core/settings.ts';
import { identityRequest, judgeIdentity, type VaultReply, type VaultRequest } from '../core/vault-protocol.ts';
import { fileProblemText, isFileProblem, readSmallFile } from '../files/small-file.ts';
import type { JwtSource } from './source.ts';

export interface IdentityVault {
  send(request: VaultRequest): Promise<VaultReply>;
  close(): Promise<void>;
}

export interface IdentityTools {
  readonly vault: IdentityVault;
  /** the live Vault token of another exchange */
  readonly tokenOf: (exchange: string) => Secret | undefined;
  /** milliseconds on a steady clock */
  readonly now: () => number;
}

const HOLD_OFF_MS = 30_000;

export function openVaultIdentitySource(
  settings: VaultIdentitySettings,
  { vault, tokenOf, now }: IdentityTools,
): JwtSource {
  let held: { readonly jwt: Secret; readonly renewAt: number; readonly endsAt: number } | undefined;
  let failed: { readonly error: unknown; readonly retryAt: number } | undefined;

  async function mint(): Promise<Secret> {
    const token = await askingToken(settings, tokenOf);
    const askedAt = now();
    try {
      const outcome = judgeIdentity(await vault.send(identityRequest(settings, token)), [token]);
      if ('code' in outcome) throw new ExchangeError(outcome.code, outcome.evidence);
      const { jwt, lifeMs } = outcome;
      held = { jwt, renewAt: askedAt + lifeMs / 2, endsAt: askedAt + lifeMs };
      failed = undefined;
      return jwt;
    } catch (error) {
      failed = { error, retryAt: now() + HOLD_OFF_MS };
      throw error;
    }
  }

  return {
    watched: true,
    async read() {
      if (held !== undefined && now() < held.renewAt) return held.jwt;
      try {
        if (failed !== undefined && now() < failed.retryAt) throw failed.error;
        return await mint();
      } catch (error) {
        if (held !== undefined && now() < held.endsAt) return held.jwt;
        throw error;
      }
    },
    close: () => vault.close(),
  };
}

async function askingToken({ token }: VaultIdentitySettings, tokenOf: IdentityTools['tokenOf']): Promise<Secret> {
  if ('exchange' in token) {
    const secret = tokenOf(token.exchange);
    if (secret === undefined) throw new ExchangeError('identity_token_missing', `exchange ${token.exchange} has none`);
    return secret;
  }
  const file = await readSmallFile(token.file);
  if (isFileProblem(file)) throw new ExchangeError('identity_token_missing', `${token.file}: ${fileProblemText(file)}`);
  const text = file.text.trim();
  if (!isTokenText(text)) throw new ExchangeError('identity_token_missing', `${token.file}: holds no Vault token`);
  return new Secret(text);
}
