// Runs the daemon's exchanges until each has delivered a token once, for CI jobs and init containers.

import type { ExchangeSettings } from '../core/settings.ts';
import { openSystemClock } from '../exchange/clock.ts';
import { openObserver } from '../observe/observe.ts';
import { type Command, durationFlag } from './command.ts';
import { loadSettings } from './load-settings.ts';
import { openOneShot, reportUndelivered } from './one-shot.ts';

const STDERR = 2;

export const command: Command = async (flags, io) => {
  const timeoutMs = durationFlag(flags, 60_000);
  const { settings } = await loadSettings(flags, io);
  const { version, nodeVersion } = io;
  const observer = openObserver({
    version,
    nodeVersion,
    nodeMetrics: false,
    level: settings.log.level,
    target: STDERR,
  });
  const once = openOneShot(settings.exchanges.map(withoutHooks), { io, clock: openSystemClock(), observer });
  const interrupted = new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) io.onSignal(signal, resolve);
  });
  const undelivered = await once.waitForDelivery(timeoutMs, interrupted);
  await once.end((exchanges) => exchanges.close('delivered'));
  return reportUndelivered(undelivered, io);
};

/** A job runs its next command itself, so a hook would only delay the exit. */
const withoutHooks = (exchange: ExchangeSettings): ExchangeSettings => ({
  ...exchange,
  sinks: exchange.sinks.map(({ onChange: _, ...sink }) => sink),
});
