// Tells systemd, where a unit of Type=notify started us, that the sidecar is ready, what it waits for, that it turns, and
// that it stops. Node can't send to the datagram socket that systemd listens on, so the program systemd-notify does; a unit
// needs NotifyAccess=all for that. https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html

import { spawn } from 'node:child_process';
import type { ExchangeStatus } from '../core/status.ts';
import type { Clock } from '../exchange/runner.ts';

export interface SystemdParts {
  readonly clock: Clock;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly statuses: () => readonly ExchangeStatus[];
  /** whether the process does its work; without that systemd's watchdog isn't fed */
  readonly isAlive: () => boolean;
  /** called with the reason when systemd can't be told any more */
  readonly onUnheard: (reason: string) => void;
}

export interface Systemd {
  /** Looks at once instead of at the next turn. */
  look(): void;
  stopping(): void;
}

/** How soon a change of status is seen by `systemctl status`. */
const TURN_MS = 10_000;

export function openSystemd({ clock, env, statuses, isAlive, onUnheard }: SystemdParts): Systemd {
  // half of the limit is what systemd advises; a third leaves room for one that is late
  const feedMs = env['WATCHDOG_USEC'] === undefined ? Number.POSITIVE_INFINITY : Number(env['WATCHDOG_USEC']) / 3000;
  const turnMs = Math.min(TURN_MS, feedMs);
  let told = '';
  let isReady = false;
  let fedAt = Number.NEGATIVE_INFINITY;
  let isHeard = true;
  let underWay: Promise<void> | undefined;
  let cancelTurn = () => {};

  /** @returns whether systemd heard it */
  async function tell(words: readonly string[]): Promise<boolean> {
    const reason = await notify(words, env);
    if (reason !== undefined && isHeard) onUnheard(reason);
    isHeard = reason === undefined;
    return isHeard;
  }

  function look(): void {
    cancelTurn();
    cancelTurn = clock.wakeAt(clock.now() + turnMs, look);
    if (underWay !== undefined) return;
    const words: string[] = [];
    const status = statusLine(statuses());
    if (!isReady && statuses().every(({ started }) => started)) words.push('READY=1');
    if (status !== told) words.push(`STATUS=${status}`);
    if (clock.now() >= fedAt + feedMs && isAlive()) words.push('WATCHDOG=1');
    if (words.length === 0) return;
    const now = clock.now();
    // what wasn't heard is told again at the next turn
    underWay = tell(words).then((heard) => {
      underWay = undefined;
      if (!heard) return;
      if (words.includes('WATCHDOG=1')) fedAt = now;
      isReady ||= words.includes('READY=1');
      told = status;
    });
  }

  look();
  return {
    look,
    stopping() {
      cancelTurn();
      void tell(['STOPPING=1', 'STATUS=stopping']);
    },
  };
}

function statusLine(statuses: readonly ExchangeStatus[]): string {
  const waiting = statuses.filter(({ ready }) => !ready).map(({ exchange, reasons }) => `${exchange}: ${reasons[0]}`);
  return waiting.length === 0 ? 'every exchange is ready' : waiting.join('; ');
}

/** @returns why systemd didn't hear it; undefined when it did */
function notify(words: readonly string[], env: SystemdParts['env']): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn('systemd-notify', words, { env, stdio: 'ignore' });
    // the sidecar's end waits for nobody
    child.unref();
    child.on('error', ({ message }) => resolve(message));
    child.on('close', (code) => resolve(code === 0 ? undefined : `systemd-notify ended with ${code}`));
  });
}
