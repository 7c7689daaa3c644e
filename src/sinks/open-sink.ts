// Opens a sink from its settings: the one place that knows all kinds of sinks.

import type { SinkSettings } from '../core/settings.ts';
import { openFileSink } from './file.ts';
import type { TokenSink } from './sink.ts';

export function openSink(settings: SinkSettings): TokenSink {
  return openFileSink(settings);
}
