// Checks whether Vault still knows the token in the exchange's sink. After a revocation, or if Vault lost its storage,
// the daemon notices it only at the next renewal.
// The token is sent only to the exchange's own Vault. A lookup spends a use of a token with limited uses, and the sink's content
// doesn't show that limit, so the caller skips this check if the role issues such tokens.

import { unlessFailure } from '../../core/errors.ts';
import { isTokenText, Secret } from '../../core/secret.ts';
import type { ExchangeSettings, FileSinkSettings, LoginSettings } from '../../core/settings.ts';
import { judgeRevocation, lookupRequest, parseObject } from '../../core/vault-protocol.ts';
import { isFileProblem, readSmallFile } from '../../files/small-file.ts';
import type { VaultClient } from '../../vault/client.ts';
import type { HeldTokenFacts } from '../diagnose/evidence.ts';
import { seen } from '../seen.ts';

/** @returns undefined if no sink holds a token */
export async function inspectHeldToken(
  { login, sinks }: Pick<ExchangeSettings, 'login' | 'sinks'>,
  client: VaultClient,
): Promise<HeldTokenFacts | undefined> {
  for (const sink of sinks) {
    const token = await tokenIn(sink);
    if (token === undefined) continue;
    return { sink: sink.path, lookup: await lookUp(client, login, token) };
  }
  return undefined;
}

/** Asks Vault for a token with the token itself. */
export const lookUp = (client: VaultClient, login: LoginSettings, token: Secret): Promise<HeldTokenFacts['lookup']> =>
  seen(async () => {
    unlessFailure(judgeRevocation(await client.send(lookupRequest(login, token)), [token]));
    return true as const;
  });

async function tokenIn({ path, format }: FileSinkSettings): Promise<Secret | undefined> {
  const file = await readSmallFile(path);
  if (isFileProblem(file)) return undefined;
  const text = textOf(format, file.text);
  return isTokenText(text) ? new Secret(text) : undefined;
}

function textOf(format: FileSinkSettings['format'], text: string): string {
  switch (format) {
    case 'raw':
      return text.trim();
    case 'env':
      return /^VAULT_TOKEN=(\S+)$/m.exec(text)?.[1] ?? '';
    case 'json':
      return String(parseObject(new Secret(text))?.['token'] ?? '');
  }
}
