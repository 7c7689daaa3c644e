// Shows what the running daemon holds: all exchanges as a table, or one in detail; once, or again and again.

import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT_CODES } from '../core/errors.ts';
import { painter } from '../core/paint.ts';
import { linesWithoutControls, withoutControls } from '../core/secret.ts';
import { type Io, UsageError } from '../host/io.ts';
import type { StatusReply } from '../http/status-reply.ts';
import { askStatus } from './ask-daemon.ts';
import { asJson, type Command, type Flags, textFlag } from './command.ts';
import { describeExchange } from './status-detail.ts';
import { describeAll } from './status-table.ts';

const WATCH_MS = 1000;
/** Moves the cursor to the top, and erases what is below it. */
const HOME = '\x1b[H\x1b[J';

export const command: Command = async (flags, io) => {
  if (flags['watch'] === true && !io.isTty) throw new UsageError('--watch needs a terminal');
  const { text, isReady } = await look(flags, io);
  if (flags['watch'] !== true) {
    io.out(text);
    return isReady ? 0 : EXIT_CODES.readiness;
  }
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) io.onSignal(signal, () => stop.abort());
  io.out(`${HOME}${text}`);
  for (;;) {
    await sleep(WATCH_MS, undefined, { signal: stop.signal }).catch(() => {});
    if (stop.signal.aborted) return 0;
    // a sidecar that restarts is shown again
    const shown = await look(flags, io).then(
      (seen) => seen.text,
      (error: unknown) => withoutControls(error instanceof Error ? error.message : 'unknown error'),
    );
    io.out(`${HOME}${shown}`);
  }
};

async function look(flags: Flags, io: Io): Promise<{ text: string; isReady: boolean }> {
  const status = await askStatus(flags, io);
  const name = textFlag(flags, 'argument');
  const one = name === undefined ? undefined : exchangeOf(status, name);
  const isReady = one === undefined ? status.exchanges.every(({ ready }) => ready) : one.ready;
  if (flags['json'] === true) return { text: linesWithoutControls(asJson(one ?? status)), isReady };
  const view = { now: Date.now(), paint: painter(io) };
  const text =
    one === undefined
      ? describeAll(printable(status), view)
      : describeExchange(printable(one), withoutControls(status.version), view);
  return { text, isReady };
}

/** Replaces the unprintable characters in all texts of a reply, which another server may have written. */
const printable = <T>(reply: T): T =>
  JSON.parse(JSON.stringify(reply), (_name, value) => (typeof value === 'string' ? withoutControls(value) : value));

function exchangeOf({ exchanges }: StatusReply, name: string) {
  const found = exchanges.find(({ exchange }) => exchange === name);
  if (found !== undefined) return found;
  const names = exchanges.map(({ exchange }) => exchange).join(', ');
  throw new UsageError(`there is no exchange ${JSON.stringify(name)}; the sidecar has ${names}`);
}
