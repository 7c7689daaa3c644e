// From settings to a sink: the one place that knows every kind.

import type { SinkSettings } from '../core/settings.ts';
import { openFileSink } from './file.ts';
import type { TokenSink } from './sink.ts';

export function openSink(settings: SinkSettings): TokenSink {
  return openFileSink(settings);
}
