// Prints the Vault token of the running daemon, for example for `vault login`.

import { EXIT_CODES, ExchangeError } from '../core/errors.ts';
import { isTokenText } from '../core/secret.ts';
import { askApi, jsonIn } from './ask-daemon.ts';
import { type Command, textFlag } from './command.ts';

export const command: Command = async (flags, io) => {
  const exchange = textFlag(flags, 'exchange');
  const path = exchange === undefined ? '/v1/token' : `/v1/token/${encodeURIComponent(exchange)}`;
  const { status, text } = await askApi(path, flags, io);
  const { access_token: held, error_description: words } = jsonIn(text) ?? {};
  if (status === 200 && typeof held === 'string' && isTokenText(held)) {
    io.out(held);
    return 0;
  }
  if (typeof words !== 'string') throw new ExchangeError('not_ready', { kind: 'other-server' });
  io.err(words);
  return status === 503 ? EXIT_CODES.readiness : EXIT_CODES.config;
};
