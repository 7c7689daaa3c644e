// Asks the running daemon for a new login, for example after the policies of the role have changed.

import { EXIT_CODES, ExchangeError } from '../core/errors.ts';
import { withoutControls } from '../core/secret.ts';
import { askApi, jsonIn } from './ask-daemon.ts';
import { type Command, textFlag } from './command.ts';

export const command: Command = async (flags, io) => {
  const exchange = textFlag(flags, 'exchange');
  const path = exchange === undefined ? '/v1/token/refresh' : `/v1/token/${encodeURIComponent(exchange)}/refresh`;
  const { status, text, retryAfter } = await askApi(path, flags, io, 'POST');
  const { exchange: name, error_description: words } = jsonIn(text) ?? {};
  if (status === 202 && typeof name === 'string') {
    io.out(withoutControls(`asked for a new login of exchange ${name}`));
    return 0;
  }
  if (typeof words !== 'string') throw new ExchangeError('not_ready', { kind: 'other-server' });
  const isTooSoon = status === 429;
  const when = isTooSoon && /^\d{1,4}$/.test(retryAfter ?? '') ? ` Try again in ${retryAfter} s.` : '';
  io.err(`${words}${when}`);
  return isTooSoon || status === 503 ? EXIT_CODES.readiness : EXIT_CODES.config;
};
