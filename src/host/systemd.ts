// Notifies systemd, under a unit of Type=notify: readiness, status, watchdog and stopping. Node can't send to systemd's datagram
// socket, so this runs the program systemd-notify, which needs NotifyAccess=all in the unit.
// https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html

import { spawn } from 'node:child_process';
import type { ExchangeStatus } from '../core/status.ts';
import type { Clock } from '../exchange/runner.ts';

export interface SystemdParts {
  readonly clock: Clock;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly statuses: () => readonly ExchangeStatus[];
  /** Reports whether the process works; if not, systemd's watchdog gets no notification. */
  readonly isAlive: () => boolean;
  /** called with the reason when notifications start to fail */
  readonly onUnheard: (reason: string) => void;
}

export interface Systemd {
  /** Sends due notifications now instead of at the next interval. */
  look(): void;
  stopping(): void;
}

/** The interval of status updates for `systemctl status`. */
const INTERVAL_MS = 10_000;

export function openSystemd({ clock, env, statuses, isAlive, onUnheard }: SystemdParts): Systemd {
  // systemd recommends half of the watchdog timeout; a third tolerates a late notification.
  const watchdogMs =
    env['WATCHDOG_USEC'] === undefined ? Number.POSITIVE_INFINITY : Number(env['WATCHDOG_USEC']) / 3000;
  const intervalMs = Math.min(INTERVAL_MS, watchdogMs);
  let lastStatus = '';
  let isReady = false;
  let watchdogAt = Number.NEGATIVE_INFINITY;
  let isSending = true;
  let inFlight: Promise<void> | undefined;
  let cancelNext = () => {};

  /** Sends a notification. @returns whether it succeeded */
  async function send(words: readonly string[]): Promise<boolean> {
    const reason = await notify(words, env);
    if (reason !== undefined && isSending) onUnheard(reason);
    isSending = reason === undefined;
    return isSending;
  }

  function look(): void {
    cancelNext();
    cancelNext = clock.wakeAt(clock.now() + intervalMs, look);
    if (inFlight !== undefined) return;
    const words: string[] = [];
    const status = statusLine(statuses());
    if (!isReady && statuses().every(({ started }) => started)) words.push('READY=1');
    if (status !== lastStatus) words.push(`STATUS=${status}`);
    if (clock.now() >= watchdogAt + watchdogMs && isAlive()) words.push('WATCHDOG=1');
    if (words.length === 0) return;
    const now = clock.now();
    // A failed notification is retried at the next interval.
    inFlight = send(words).then((isSent) => {
      inFlight = undefined;
      if (!isSent) return;
      if (words.includes('WATCHDOG=1')) watchdogAt = now;
      isReady ||= words.includes('READY=1');
      lastStatus = status;
    });
  }

  look();
  return {
    look,
    stopping() {
      cancelNext();
      void send(['STOPPING=1', 'STATUS=stopping']);
    },
  };
}

function statusLine(statuses: readonly ExchangeStatus[]): string {
  const waiting = statuses.filter(({ ready }) => !ready).map(({ exchange, reasons }) => `${exchange}: ${reasons[0]}`);
  return waiting.length === 0 ? 'every exchange is ready' : waiting.join('; ');
}

/** @returns why the notification failed; undefined if it succeeded */
function notify(words: readonly string[], env: SystemdParts['env']): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn('systemd-notify', words, { env, stdio: 'ignore' });
    // A running child must not delay the exit.
    child.unref();
    child.on('error', ({ message }) => resolve(message));
    child.on('close', (code) => resolve(code === 0 ? undefined : `systemd-notify exited with code ${code}`));
  });
}
