// Runs the daemon's exchanges until each has delivered a token once, for CI jobs and init containers.

import { exitCodeOf as codeOfFailure, EXIT_CODES } from '../core/errors.ts';
import { withoutControls } from '../core/secret.ts';
import type { ExchangeStatus } from '../core/status.ts';
import { openDeadline, openSystemClock, within } from '../exchange/clock.ts';
import { openExchanges } from '../exchange/exchanges.ts';
import { openObserver } from '../observe/observe.ts';
import { REAL_PORTS } from '../real-ports.ts';
import { CONFIG_OPTION, type Command, parseTimeout } from './command.ts';
import { loadSettings } from './load-settings.ts';

const STDERR = 2;
/** The time that closing may take; a call that hangs longer is abandoned. */
const CLOSE_MS = 1000;

export const command: Command = {
  help: `vault-token-sidecar once [--config FILE] [--timeout 60s]

Logs in, writes every sink once and exits. Logs to stderr. Leaves the token in place, even with "on_stop": "revoke".
Exit codes: 0 delivered; 4 Vault refused the login; 5 Vault unreachable, sealed or failing; 6 no usable JWT; 7 a sink can't be
written; 3 not ready within the timeout.

--config FILE        the config file (by default, the environment)
--timeout DURATION   gives up after this time (60s)`,
  options: { ...CONFIG_OPTION, timeout: { type: 'string' } },
  async run(flags, io) {
    const timeoutMs = parseTimeout(flags, 60_000);
    const { settings } = await loadSettings(flags, io);
    const { version, nodeVersion, env } = io;
    const observer = openObserver({
      version,
      nodeVersion,
      nodeMetrics: false,
      level: settings.log.level,
      target: STDERR,
    });
    const clock = openSystemClock();
    const exchanges = openExchanges(settings.exchanges, { clock, observer, env, ports: REAL_PORTS, isOneShot: true });
    const timeout = openDeadline(clock, timeoutMs);
    const interrupted = new Promise<void>((resolve) => {
      for (const signal of ['SIGTERM', 'SIGINT'] as const) io.onSignal(signal, resolve);
    });
    await Promise.race([exchanges.started, timeout.reached, interrupted]);
    timeout.cancel();
    const statuses = exchanges.views().map((view) => view.status());
    await within(clock, CLOSE_MS, exchanges.close());
    await observer.log.flush();
    const unfinished = statuses.filter(({ started }) => !started);
    if (unfinished.length === 0) return 0;
    for (const status of unfinished) io.err(withoutControls(`exchange ${status.exchange}: ${whyUnfinished(status)}`));
    return Math.max(...unfinished.map(exitCodeOf));
  },
};

function whyUnfinished({ failure, sinks, reasons }: ExchangeStatus): string {
  const cause = sinks.find((sink) => sink.failure)?.failure ?? failure;
  if (cause === undefined) return reasons[0] ?? 'no token yet';
  return `${cause.title}${cause.evidence === undefined ? '' : `: ${cause.evidence}`}. ${cause.hint}`;
}

function exitCodeOf({ failure, sinks }: ExchangeStatus): number {
  const cause = sinks.find((sink) => sink.failure)?.failure ?? failure;
  return cause === undefined ? EXIT_CODES.readiness : codeOfFailure(cause);
}
