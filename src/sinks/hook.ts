// Runs the hook of a sink once: a command, or a signal to the process in a pid file.

import type { Failure } from '../core/errors.ts';
import type { HookSettings } from '../core/settings.ts';
import { runCommand } from './hook-command.ts';
import { signalProcess } from './hook-signal.ts';

export interface HookCall {
  readonly exchange: string;
  readonly sink: string;
  /** the PATH of the sidecar */
  readonly path: string | undefined;
  /** kills the hook */
  readonly signal: AbortSignal;
}

export interface HookReport {
  /** undefined if the hook succeeded */
  readonly failure: Failure | undefined;
  /** what a command printed: the first bytes, unscrubbed */
  readonly output: string;
}

/** Runs the hook to its end. Never rejects. */
export async function runHook(hook: HookSettings, call: HookCall): Promise<HookReport> {
  if (hook.kind === 'command') return runCommand(hook.command, call);
  return { failure: await signalProcess(hook), output: '' };
}
