// Runs the daemon's exchanges until each has delivered a token once, for CI jobs and init containers.

import type { ExchangeSettings } from '../core/settings.ts';
import { openSystemClock } from '../exchange/clock.ts';
import { openObserver } from '../observe/observe.ts';
import { CONFIG_OPTION, type Command, parseTimeout } from './command.ts';
import { loadSettings } from './load-settings.ts';
import { openOneShot, reportUndelivered } from './one-shot.ts';

const STDERR = 2;

export const command: Command = {
  help: `vault-token-sidecar once [--config FILE] [--timeout 60s]

Logs in, writes every sink once and exits. Runs no on_change. Logs to stderr. Leaves the token in place, even with
"on_stop": "revoke". If an exchange can't write all its sinks, or has none, revokes its token and removes the files that hold it.
Exit codes: 0 delivered; 4 Vault refused the login; 5 Vault unreachable, sealed or failing; 6 no usable JWT; 7 a sink can't be
written; 3 not ready within the timeout. Exits at once on errors that last, such as a missing role; waits for Vault and for the
JWT's file.

--config FILE        the config file (by default, the environment)
--timeout DURATION   gives up after this time (60s)`,
  options: { ...CONFIG_OPTION, timeout: { type: 'string' } },
  async run(flags, io) {
    const timeoutMs = parseTimeout(flags, 60_000);
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
  },
};

/** A job runs its next command itself, so a hook would only delay the exit. */
const withoutHooks = (exchange: ExchangeSettings): ExchangeSettings => ({
  ...exchange,
  sinks: exchange.sinks.map(({ onChange: _, ...sink }) => sink),
});
