// The production implementations of the ports: sources, sinks and Vault client.

import type { Ports } from './exchange/ports.ts';
import { openSink } from './sinks/open-sink.ts';
import { openSource } from './sources/open-source.ts';
import { watchDirectoryOf } from './sources/watch.ts';
import { openVaultClient } from './vault/client.ts';

/** Loads hooks when the first one runs: they need node:child_process. */
const runHook: Ports['runHook'] = async (...call) => {
  const hooks = await import('./sinks/hook.ts');
  return hooks.runHook(...call);
};

export const REAL_PORTS: Ports = { openSource, openSink, openVault: openVaultClient, watchDirectoryOf, runHook };
