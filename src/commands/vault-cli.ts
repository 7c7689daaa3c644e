// The token helper of the Vault CLI: gives it the token of the running daemon.
// https://developer.hashicorp.com/vault/docs/commands/token-helper

import type { Command } from './command.ts';
import { command as token } from './token.ts';

export const command: Command = {
  help: `vault-token-sidecar token-helper get|store|erase [--exchange NAME] [--config FILE] [--api URL]

A token helper for the Vault CLI, which calls it with one of these arguments. get prints the Vault token of the running sidecar,
without a newline. store and erase change nothing, as the token belongs to the sidecar: "vault login" stores nothing.

--exchange NAME   the exchange; required if there are several
--config FILE     the config file, for api.listen and api.caller_token_file
--api URL         the URL of the token API`,
  options: token.options,
  argument: ['get', 'store', 'erase'],
  async run(flags, io) {
    // the Vault CLI sends every character of the output as the token
    if (flags['argument'] === 'get') return token.run(flags, { ...io, out: (text) => io.out(text, '') });
    if (flags['argument'] === 'store') await io.skipInput();
    io.err('vault-token-sidecar: nothing changes: the running sidecar keeps its token');
    return 0;
  },
};
