// Prints the Vault token of the running daemon, for example for `vault login`.

import { EXIT_CODES, ExchangeError } from '../core/errors.ts';
import { askApi, jsonIn } from './ask-daemon.ts';
import { CONFIG_OPTION, type Command, textFlag } from './command.ts';

export const command: Command = {
  help: `vault-token-sidecar token [--exchange NAME] [--config FILE] [--api URL]

Prints the Vault token that the running sidecar holds.

--exchange NAME   the exchange; required if there are several
--config FILE     the config file, for api.listen and api.caller_token_file
--api URL         the URL of the token API, or unix:/PATH`,
  options: { ...CONFIG_OPTION, exchange: { type: 'string' }, api: { type: 'string' } },
  async run(flags, io) {
    const exchange = textFlag(flags, 'exchange');
    const path = exchange === undefined ? '/v1/token' : `/v1/token/${encodeURIComponent(exchange)}`;
    const { status, text } = await askApi(path, flags, io);
    const { access_token: held, error_description: words } = jsonIn(text) ?? {};
    if (status === 200 && typeof held === 'string') {
      io.out(held);
      return 0;
    }
    if (typeof words !== 'string') throw new ExchangeError('not_ready', { kind: 'other-server' });
    io.err(words);
    return status === 503 ? EXIT_CODES.readiness : EXIT_CODES.config;
  },
};
