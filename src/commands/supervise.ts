// Runs the command of `exec` until it ends: passes on signals, and restarts or signals the command when there is a new token.

import type { SignalName } from '../core/signals.ts';
import type { Clock } from '../exchange/runner.ts';
import { type Child, type ChildEnd, isInForeground, startChild } from '../host/child.ts';
import type { CaughtSignal, Io } from '../host/io.ts';

export type OnNewToken = 'nothing' | 'restart' | SignalName;

export interface SupervisedParts {
  readonly words: readonly string[];
  readonly clock: Clock;
  readonly onNewToken: OnNewToken;
  /** returns the surroundings of the command with the current token */
  readonly surroundings: () => ReturnType<Io['inherited']>;
}

export interface Supervised {
  /** the end of the command, and of all its restarts */
  readonly ended: Promise<ChildEnd>;
  passOn(signal: CaughtSignal): void;
  newToken(): void;
}

/** How long the command may take to end before a restart. */
const RESTART_MS = 10_000;

/** A terminal sends these to its whole foreground process group. Most other senders send them to one process. */
const OF_TERMINALS: ReadonlySet<CaughtSignal> = new Set(['SIGINT', 'SIGQUIT', 'SIGWINCH']);
/** These ask a program to end. */
const ENDING: ReadonlySet<CaughtSignal> = new Set(['SIGTERM', 'SIGINT', 'SIGQUIT']);

export function supervise({ words, clock, onNewToken, surroundings }: SupervisedParts): Supervised {
  let child: Child = startChild(words, surroundings());
  let isRestarting = false;
  let isEnding = false;
  let cancelKill = () => {};

  async function run(): Promise<ChildEnd> {
    for (;;) {
      const end = await child.ended;
      cancelKill();
      if (!isRestarting || isEnding || 'errno' in end) return end;
      isRestarting = false;
      child = startChild(words, surroundings());
    }
  }

  function restart(): void {
    // a restart that is under way takes the newest token
    if (isRestarting || isEnding) return;
    isRestarting = true;
    child.kill('SIGTERM');
    cancelKill = clock.wakeAt(clock.now() + RESTART_MS, () => child.kill('SIGKILL'));
  }

  return {
    ended: run(),
    passOn(signal) {
      if (ENDING.has(signal)) {
        isEnding = true;
        // the sender of the signal decides how long the command may take
        cancelKill();
      }
      if (!OF_TERMINALS.has(signal)) child.kill(signal);
      else
        void isInForeground().then((reachesChild) => {
          if (!reachesChild) child.kill(signal);
        });
    },
    newToken() {
      if (onNewToken === 'restart') restart();
      else if (onNewToken !== 'nothing') child.kill(onNewToken);
    },
  };
}
