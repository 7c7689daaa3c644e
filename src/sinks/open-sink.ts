// Opens a sink from its settings: the one place that knows all kinds of sinks.

import type { SinkSettings } from '../core/settings.ts';
import { openFileSink } from './file.ts';
import type { TokenSink } from './sink.ts';
import { inSlot } from './slots.ts';

export function openSink(settings: SinkSettings): TokenSink {
  const { id, deliver, read, age, check, remove } = openFileSink(settings);
  return {
    id,
    deliver: (...delivery) => inSlot(id, () => deliver(...delivery)),
    read: () => inSlot(id, read),
    age: () => inSlot(id, age),
    check: () => inSlot(id, check),
    remove: (...removal) => inSlot(id, () => remove(...removal)),
  };
}
