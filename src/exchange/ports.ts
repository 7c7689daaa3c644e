// The external dependencies of an exchange, as functions that tests replace with fakes. See real-ports.ts.

import type { HookSettings, SinkSettings, SourceSettings, VaultSettings } from '../core/settings.ts';
import type { HookCall, HookReport } from '../sinks/hook.ts';
import type { TokenSink } from '../sinks/sink.ts';
import type { SourceTools } from '../sources/open-source.ts';
import type { JwtSource } from '../sources/source.ts';
import type { Watch } from '../sources/watch.ts';
import type { VaultClient } from '../vault/client.ts';

export interface Ports {
  readonly openSource: (settings: SourceSettings, tools: SourceTools) => JwtSource;
  readonly openSink: (settings: SinkSettings) => TokenSink;
  readonly runHook: (hook: HookSettings, call: HookCall) => Promise<HookReport>;
  readonly openVault: (settings: VaultSettings) => VaultClient;
  readonly watchDirectoryOf: (path: string, onHint: () => void) => Watch;
}
