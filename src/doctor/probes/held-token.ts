// Checks whether Vault still knows the tokens that the sidecar delivered: in the sinks, and at the token API. After a revocation, or
// if Vault lost its storage, the daemon notices it only at the next check or renewal.
// A token is sent only to the exchange's own Vault. A lookup spends a use of a token with limited uses, and the sink's content
// doesn't show that limit, so the caller skips this check if the role issues such tokens.

import { unlessFailure } from '../../core/errors.ts';
import { isTokenText, Secret } from '../../core/secret.ts';
import type { ExchangeSettings, FileSinkSettings, LoginSettings } from '../../core/settings.ts';
import { judgeLookup } from '../../core/token-life.ts';
import { lookupRequest, parseObject } from '../../core/vault-protocol.ts';
import { isFileProblem, readSmallFile } from '../../files/small-file.ts';
import type { VaultClient } from '../../vault/client.ts';
import type { HeldTokenFacts } from '../diagnose/evidence.ts';
import { seen } from '../seen.ts';

/** @param served the token that the running sidecar serves. Equal tokens are looked up once. */
export async function inspectHeldTokens(
  { login, sinks }: Pick<ExchangeSettings, 'login' | 'sinks'>,
  client: VaultClient,
  served: Secret | undefined,
): Promise<readonly HeldTokenFacts[]> {
  const inSinks = await Promise.all(
    sinks.map(async (sink) => ({ name: `the token in ${sink.path}`, token: await tokenIn(sink) })),
  );
  const held = [...inSinks, { name: 'the token of the running sidecar', token: served }].flatMap(({ name, token }) =>
    token === undefined ? [] : [{ name, token }],
  );
  const distinct = held.filter(({ token }, index) => held.findIndex((one) => one.token.equals(token)) === index);
  return Promise.all(distinct.map(async ({ name, token }) => ({ name, lookup: await lookUp(client, login, token) })));
}

/** Asks Vault for a token with the token itself. */
export const lookUp = (client: VaultClient, login: LoginSettings, token: Secret): Promise<HeldTokenFacts['lookup']> =>
  seen(async () => {
    unlessFailure(judgeLookup(await client.send(lookupRequest(login, token)), token));
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
