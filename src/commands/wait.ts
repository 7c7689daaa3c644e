// Waits until the running daemon is ready: for start-up ordering in units and scripts.

import { setTimeout as sleep } from 'node:timers/promises';
import { ERRORS, ExchangeError } from '../core/errors.ts';
import { askOps } from './ask-daemon.ts';
import { CONFIG_OPTION, type Command, parseTimeout, textFlag } from './command.ts';

const INTERVAL_MS = 200;

export const command: Command = {
  help: `vault-token-sidecar wait [--exchange NAME] [--timeout 60s] [--config FILE] [--ops URL]

Ends with 0 as soon as the running sidecar is ready, with 3 if it isn't within the time.`,
  options: { ...CONFIG_OPTION, exchange: { type: 'string' }, timeout: { type: 'string' }, ops: { type: 'string' } },
  async run(flags, io) {
    const deadline = performance.now() + parseTimeout(flags, 60_000);
    const exchange = textFlag(flags, 'exchange');
    const path = exchange === undefined ? '/readyz' : `/readyz/${encodeURIComponent(exchange)}`;
    for (;;) {
      const reason = await askOps(path, flags, io).then(
        ({ status, text }) => (status === 200 ? undefined : reasonIn(text)),
        (error: unknown) => {
          if (error instanceof ExchangeError) return error.failure.evidence ?? 'not ready';
          throw error;
        },
      );
      if (reason === undefined) return 0;
      if (performance.now() + INTERVAL_MS > deadline) {
        io.err(`${ERRORS.not_ready.title}: ${reason}`);
        return ERRORS.not_ready.exit;
      }
      await sleep(INTERVAL_MS);
    }
  },
};

/** The daemon's answer names what is missing; one that can't be read is shown as it came, shortened. */
function reasonIn(text: string): string {
  try {
    const { reasons, error_description } = JSON.parse(text);
    return Array.isArray(reasons) && reasons.length > 0 ? reasons.join('; ') : String(error_description ?? 'not ready');
  } catch {
    return "the answer is not the sidecar's";
  }
}
