// Prints the Vault token of the running daemon, for scripts and people: vault login is then one command away.

import { ERRORS } from '../core/errors.ts';
import { askApi } from './ask-daemon.ts';
import { CONFIG_OPTION, type Command, textFlag } from './command.ts';

export const command: Command = {
  help: `vault-token-sidecar token [--exchange NAME] [--config FILE] [--api URL]

Prints the Vault token that the running sidecar holds.`,
  options: { ...CONFIG_OPTION, exchange: { type: 'string' }, api: { type: 'string' } },
  async run(flags, io) {
    const exchange = textFlag(flags, 'exchange');
    const path = exchange === undefined ? '/v1/token' : `/v1/token/${encodeURIComponent(exchange)}`;
    const { status, text } = await askApi(path, flags, io);
    if (status === 200) {
      io.out(text);
      return 0;
    }
    io.err(describeError(text));
    return status === 503 ? ERRORS.not_ready.exit : ERRORS.config_invalid.exit;
  },
};

function describeError(text: string): string {
  try {
    return String(JSON.parse(text).error_description);
  } catch {
    return "the answer is not the sidecar's";
  }
}
