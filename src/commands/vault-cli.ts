// The token helper of the Vault CLI: gives it the token of the running daemon.
// https://developer.hashicorp.com/vault/docs/commands/token-helper

import { EXIT_CODES } from '../core/errors.ts';
import type { Command } from './command.ts';
import { command as token } from './token.ts';

export const command: Command = {
  help: `vault-token-sidecar token-helper get|store|erase [--exchange NAME] [--config FILE] [--api URL]

A token helper for the Vault CLI, which calls it with one of these arguments. get prints the Vault token of the running sidecar,
without a newline. store and erase fail with exit code 1, as the token belongs to the sidecar.

--exchange NAME   the exchange; required if there are several
--config FILE     the config file, for api.listen and api.caller_token_file
--api URL         the URL of the token API`,
  options: token.options,
  argument: ['get', 'store', 'erase'],
  async run(flags, io) {
    // the Vault CLI sends every character of the output as the token
    if (flags['argument'] === 'get') return token.run(flags, { ...io, out: (text) => io.out(text, '') });
    io.err(
      `vault-token-sidecar: can't ${flags['argument']} the token: the Vault CLI uses the one of the running sidecar; VAULT_TOKEN sets another one`,
    );
    // any code but 0 keeps "vault login" from claiming that it stored the token
    return EXIT_CODES.program;
  },
};
