// Runs the hooks of an exchange's sinks: one at a time for each sink, also across reloads. Of those that wait, only the newest runs.

import { scrubbedLine } from '../core/secret.ts';
import { type ExchangeSettings, hookOf } from '../core/settings.ts';
import type { HookReport } from '../sinks/hook.ts';
import { openDeadline } from './clock.ts';
import type { Ports } from './ports.ts';
import type { Clock, RunnerParts } from './runner.ts';
import { openTurn, type Turns } from './sink-turns.ts';

export interface HookTools {
  readonly clock: Clock;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly ports: Pick<Ports, 'runHook'>;
  readonly turns: Turns;
  readonly mayUse: (exchange: string, sink: string) => boolean;
  /** aborts when the process stops, which kills the hooks that run */
  readonly ending: AbortSignal;
}

/** The deadline of a signal, which reads a few files. */
const SIGNAL_MS = 20_000;
const KILL_MS = 5000;

/**
 * Returns a function that runs the hook of a sink. It resolves to undefined if the sink has no hook, a newer run superseded this
 * one, or the process stops.
 */
export function openHooks(
  settings: ExchangeSettings,
  { clock, env, ports, turns, mayUse, ending }: HookTools,
): NonNullable<RunnerParts['runHook']> {
  const { name: exchange } = settings;
  return async ({ sink, token }) => {
    const hook = hookOf(settings, sink);
    if (hook === undefined) return undefined;
    const limitMs = hook.kind === 'command' ? hook.timeoutMs : SIGNAL_MS;
    const isOurs = () => mayUse(exchange, sink) && !ending.aborted;
    const inTurn = openTurn(`on_change of ${sink}`, { turns, now: clock.now, isOurs, hungMs: limitMs + KILL_MS });
    const report = await inTurn(async (): Promise<HookReport> => {
      const deadline = openDeadline(clock, limitMs);
      const timeout = new AbortController();
      void deadline.reached.then(() => timeout.abort());
      const signal = AbortSignal.any([timeout.signal, ending]);
      const { failure, output } = await ports.runHook(hook, { exchange, sink, path: env['PATH'], signal });
      deadline.cancel();
      const isTimeout = failure !== undefined && timeout.signal.aborted;
      return {
        output,
        failure: isTimeout ? { code: 'hook_timeout', facts: { kind: 'hook-timeout', limitMs } } : failure,
      };
    });
    if (report === undefined || ending.aborted) return undefined;
    return { sink, failure: report.failure, output: scrubbedLine(report.output, [token]) };
  };
}
