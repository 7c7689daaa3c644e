// The token helper of the Vault CLI: gives it the token of the running daemon.
// https://developer.hashicorp.com/vault/docs/commands/token-helper

import { EXIT_CODES } from '../core/errors.ts';
import type { Command } from './command.ts';
import { command as token } from './token.ts';

export const command: Command = async (flags, io) => {
  // the Vault CLI sends every character of the output as the token
  if (flags['argument'] === 'get') return token(flags, { ...io, out: (text) => io.out(text, '') });
  io.err(
    `vault-token-sidecar: can't ${flags['argument']} the token: the Vault CLI uses the one of the running sidecar; VAULT_TOKEN sets another one`,
  );
  // any code but 0 keeps "vault login" from claiming that it stored the token
  return EXIT_CODES.program;
};
