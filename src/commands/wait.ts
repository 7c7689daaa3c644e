// Waits until the running daemon is ready, for start-up ordering in units and scripts.

import { setTimeout as sleep } from 'node:timers/promises';
import { ERRORS, EXIT_CODES, ExchangeError, explain } from '../core/errors.ts';
import { withoutControls } from '../core/secret.ts';
import { UsageError } from '../host/io.ts';
import { askOps, jsonIn, NOT_OURS } from './ask-daemon.ts';
import { type Command, durationFlag, textFlag } from './command.ts';

const INTERVAL_MS = 200;

export const command: Command = async (flags, io) => {
  const startedAt = performance.now();
  const deadline = startedAt + durationFlag(flags, 60_000);
  const exchange = textFlag(flags, 'exchange');
  const path = exchange === undefined ? '/readyz' : `/readyz/${encodeURIComponent(exchange)}`;
  try {
    for (;;) {
      const left = Math.max(INTERVAL_MS, deadline - performance.now());
      const reason = await askOps(path, flags, io, left).then(
        ({ status, text }) => reasonIn(status, text),
        (error: unknown) => {
          if (error instanceof ExchangeError) return explain(error.failure).evidence ?? 'not ready';
          throw error;
        },
      );
      if (reason === undefined) return 0;
      if (performance.now() + INTERVAL_MS > deadline) {
        io.progress('');
        io.err(`${ERRORS.not_ready.title}: ${reason}`);
        return EXIT_CODES.readiness;
      }
      const seconds = Math.floor((performance.now() - startedAt) / 1000);
      io.progress(withoutControls(`waiting for ${seconds} s: ${reason}`));
      await sleep(INTERVAL_MS);
    }
  } finally {
    io.progress('');
  }
};

/** @returns why the sidecar isn't ready; undefined if it is. @throws UsageError if waiting can't help */
function reasonIn(status: number, text: string): string | undefined {
  const { ready, reasons, error, error_description: words } = jsonIn(text) ?? {};
  if (status === 200 && ready === true) return undefined;
  if (error === 'not_found' && typeof words === 'string') throw new UsageError(words);
  if (Array.isArray(reasons) && reasons.length > 0) return reasons.join('; ');
  return typeof words === 'string' ? words : NOT_OURS;
}
