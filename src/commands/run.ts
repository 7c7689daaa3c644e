// Runs the daemon until SIGTERM or SIGINT (a second one stops it at once). SIGHUP reloads the config and keeps the old one if
// the new one is invalid. SIGUSR2 requests new logins; SIGUSR1 isn't available, as Node blocks it with --disable-sigusr1.

import { ConfigError } from '../config/problem.ts';
import { ExchangeError } from '../core/errors.ts';
import { scrub } from '../core/secret.ts';
import type { Settings } from '../core/settings.ts';
import { type Daemon, StoppedEarly, startDaemon } from '../daemon.ts';
import { openSystemClock } from '../exchange/clock.ts';
import type { Io } from '../host/io.ts';
import { isJournal } from '../host/journal.ts';
import type { Systemd } from '../host/systemd.ts';
import type { LineFormat, Log } from '../observe/log.ts';
import type { Observer } from '../observe/observe.ts';
import { type Command, crashEvidence, type Flags } from './command.ts';
import { loadSettings } from './load-settings.ts';

type LogFormat = Settings['log']['format'];

const STDOUT = 1;

export const command: Command = async (flags, io) => {
  let log: Log | undefined;
  // a reader that stalls must not hold up the exit
  const end = () => {
    void log?.flush(0);
    io.exit(0);
    return 0; // in tests, where exit() returns
  };
  const stopRequested = onStopSignal(io, end);
  const [onRefresh, onReload] = [early(io, 'SIGUSR2'), early(io, 'SIGHUP')];
  const loaded = await Promise.race([loadForLog(flags, io), stopRequested]);
  if (loaded === undefined) return end();
  void stopRequested.then(() => log?.write('info', 'stopping'));
  const { settings, warnings } = loaded;
  const { version, nodeVersion, env } = io;
  const startedAt = Date.now();
  io.onCrash((error) => {
    const evidence = crashEvidence(error);
    if (log !== undefined) log.writeLast('error', 'crashed', { evidence });
    else for (const line of evidence.split('\n')) io.err(line);
  });
  const openObserver = async () => {
    const observe = await import('../observe/observe.ts');
    const { nodeMetrics } = settings.ops;
    const { level } = settings.log;
    const format = await formatOf(settings.log.format, io);
    const observer = observe.openObserver({ version, nodeVersion, nodeMetrics, level, target: STDOUT, format });
    log = observer.log;
    log.write('info', 'starting', { version, exchanges: settings.exchanges.map(({ name }) => name) }, startedAt);
    for (const warning of warnings) log.write('warn', 'config_warning', { warning });
    return observer;
  };
  const daemon = await startDaemon({ settings, openObserver, env, version, stopRequested }).catch((error: unknown) => {
    if (!(error instanceof StoppedEarly)) throw error;
  });
  if (daemon === undefined) return end();
  const { observer } = daemon;
  onRefresh(daemon.refresh);
  onReload(coalesced(() => reload(daemon, observer, { flags, io })));
  const systemd = env['NOTIFY_SOCKET'] ? await reportToSystemd(daemon, observer, env) : undefined;
  await stopRequested;
  systemd?.stopping();
  await daemon.stop();
  return end();
};

/** Loads the settings, with the warnings for the log. Before an error they go to stderr. */
async function loadForLog(flags: Flags, io: Io): Promise<{ settings: Settings; warnings: readonly string[] }> {
  const warnings: string[] = [];
  try {
    const { settings } = await loadSettings(flags, { ...io, warn: (text) => void warnings.push(text) });
    return { settings, warnings };
  } catch (error) {
    for (const warning of warnings) io.warn(warning);
    throw error;
  }
}

/** The format of the log on stdout, which is JSON unless a person or the journal reads it. */
async function formatOf(wish: LogFormat, { isTty, env }: Io): Promise<LineFormat> {
  const isText = wish === 'text' || (wish === 'auto' && isTty);
  const toJournal = env['JOURNAL_STREAM'] !== undefined && isJournal(env['JOURNAL_STREAM'], STDOUT);
  if (!isText && !toJournal) return (line) => line;
  const { forJournal, forTerminal } = await import('../observe/log-text.ts');
  if (toJournal) return forJournal(isText);
  return forTerminal({ isTty, env });
}

/** Catches a signal during the start, where it would end the process, and delivers it once the handler is known. */
function early(io: Io, signal: 'SIGUSR2' | 'SIGHUP'): (handler: () => void) => void {
  let isPending = false;
  let handle = () => {
    isPending = true;
  };
  io.onSignal(signal, () => handle());
  return (handler) => {
    handle = handler;
    if (isPending) handler();
  };
}

/** Resolves at the first signal to stop; a second one ends the process at once. */
function onStopSignal(io: Io, end: () => void): Promise<void> {
  return new Promise((resolve) => {
    let stopping = false;
    const onSignal = () => {
      if (stopping) end();
      stopping = true;
      resolve();
    };
    io.onSignal('SIGTERM', onSignal);
    io.onSignal('SIGINT', onSignal);
  });
}

async function reportToSystemd(daemon: Daemon, { log }: Observer, env: Io['env']): Promise<Systemd> {
  const { openSystemd } = await import('../host/systemd.ts');
  const systemd = openSystemd({
    clock: openSystemClock(),
    env,
    statuses: () => daemon.exchanges.views().map((view) => view.status()),
    isAlive: daemon.isStepping,
    onUnheard: (evidence) =>
      log.write('error', 'systemd_unheard', {
        evidence,
        hint: 'Install systemd-notify and set NotifyAccess=all in the unit: Type=notify needs both.',
      }),
  });
  daemon.exchanges.started.then(systemd.look);
  return systemd;
}

async function reload(daemon: Daemon, observer: Observer, { flags, io }: { flags: Flags; io: Io }): Promise<void> {
  try {
    const { settings, warnings } = await loadForLog(flags, io);
    for (const warning of warnings) observer.log.write('warn', 'config_warning', { warning });
    await daemon.reload(settings);
    observer.log.write('info', 'config_reloaded');
  } catch (error) {
    observer.configRead(false, Date.now());
    const evidence = error instanceof ConfigError || error instanceof ExchangeError ? error.message : 'internal error';
    observer.log.write('error', 'config_refused', {
      evidence: scrub(evidence),
      hint: 'Correct the config and reload it; the sidecar keeps the previous one until then.',
    });
  }
}

/** Coalesces calls: any number of calls while the action runs lead to one more run after it. */
function coalesced(action: () => Promise<void>): () => void {
  let running = false;
  let again = false;
  return async function call() {
    again = running;
    if (running) return;
    running = true;
    await action();
    running = false;
    if (again) call();
  };
}
