// Renders the Vault token: raw, as JSON, or as a VAULT_TOKEN= line for a shell or an env_file.

import { ExchangeError } from '../core/errors.ts';
import { isTokenText, Secret } from '../core/secret.ts';
import type { TokenFormat } from '../core/settings.ts';
import type { Delivered, TokenDocument } from './sink.ts';

/** @throws ExchangeError sink_failed if the token contains characters that aren't safe in this format */
export function renderToken(format: TokenFormat, document: TokenDocument): string {
  const token = document.secret.reveal();
  if (!isTokenText(token)) throw new ExchangeError('sink_failed', { kind: 'token-text', problem: 'not-a-word' });
  switch (format) {
    case 'raw':
      return token;
    case 'env':
      // a shell would interpret any other character
      if (!/^[\w.~+/=-]+$/.test(token))
        throw new ExchangeError('sink_failed', { kind: 'token-text', problem: 'not-for-a-shell' });
      return `VAULT_TOKEN=${token}\n`;
    case 'json': {
      const { accessor, renewable, policies, exchange, place } = document;
      const instants = { expires_at: iso(document.expiresAt), issued_at: iso(document.issuedAt) };
      return `${JSON.stringify({ token, accessor, ...instants, renewable, policies, exchange, ...place }, null, 2)}\n`;
    }
  }
}

/** Reads back a rendered token. Only JSON names the Vault that the token is for, so other formats aren't read back. */
export function parseToken(format: TokenFormat, text: string): Delivered | undefined {
  if (format !== 'json') return undefined;
  try {
    const { token, vault_address, namespace, mount, role } = JSON.parse(text);
    if (typeof token !== 'string' || !isTokenText(token)) return undefined;
    return { secret: new Secret(token), place: { vault_address, namespace, mount, role } };
  } catch {
    return undefined;
  }
}

const iso = (at: number): string => new Date(Math.round(at / 1000) * 1000).toISOString();
