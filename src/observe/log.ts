// JSON lines by pino: `time` in ISO 8601, `level` as a word, `event` in snake_case, then named members.
// A line never holds a secret: only named members are ever passed in, and whatever looks like a JWT or a Vault token
// in the finished line is cut out. Writing never blocks: a reader that stalls costs lines, which are counted.

import pino from 'pino';
import { linesWithoutControls, scrub } from '../core/secret.ts';
import type { LogLevel } from '../core/settings.ts';

export type LogFields = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

export interface Log {
  /** @param wall when it happened, epoch milliseconds; now if left out */
  write(level: LogLevel, event: string, fields?: LogFields, wall?: number): void;
  setLevel(level: LogLevel): void;
  /** Before the process ends: what its reader doesn't take within a second is lost. */
  flush(): void;
}

/** Where lines go: a file descriptor, or a function that takes whole lines. */
export type LogTarget = number | ((line: string) => void);

const BUFFER_BYTES = 1024 * 1024;
/** What the end of the process waits for a reader that stalls. */
const FLUSH_MS = 1000;

/** @param onDropped called once for each line that a stalled reader costs */
export function openLog(level: LogLevel, target: LogTarget, onDropped: () => void): Log {
  const destination = typeof target === 'number' ? openDestination(target, onDropped) : { write: target };
  let wallOfLine = 0;
  const logger = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date(wallOfLine).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      hooks: { streamWrite: (line) => scrub(line) },
    },
    destination,
  );
  return {
    write(at, event, fields = {}, wall = Date.now()) {
      wallOfLine = wall;
      logger[at]({ event, ...safe(fields) });
    },
    setLevel(next) {
      logger.level = next;
    },
    flush: () => {
      if ('flush' in destination) destination.flush();
    },
  };
}

/** Fields may quote others: what a terminal would obey, once a reader has undone the JSON, is taken out. */
function safe(fields: LogFields): LogFields {
  const shown = (value: LogFields[string]): LogFields[string] => {
    if (typeof value === 'string') return linesWithoutControls(value);
    return Array.isArray(value) ? value.map(linesWithoutControls) : value;
  };
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, shown(value)]));
}

function openDestination(fd: number, onDropped: () => void) {
  let giveUpAt = Number.POSITIVE_INFINITY;
  let isBroken = false;
  let isClosed = false;
  const retryEAGAIN = () => performance.now() < giveUpAt;
  const destination = pino.destination({ dest: fd, sync: false, minLength: 0, maxLength: BUFFER_BYTES, retryEAGAIN });
  destination.on('drop', onDropped);
  // Nobody reads any more (EPIPE), or the disk is full: the exchange goes on without its log.
  destination.on('error', () => {
    isBroken = true;
    onDropped();
  });
  destination.on('write', () => {
    isBroken = false;
  });
  return {
    write: (line: string) => void (isClosed || destination.write(line)),
    flush() {
      giveUpAt = performance.now() + FLUSH_MS;
      try {
        if (!isBroken) destination.flushSync();
      } catch {
        isBroken = true;
      }
      // pino flushes once more as the process exits, and sonic-boom would go on for ever where writing fails
      isClosed = isBroken;
      if (isClosed) destination.destroy();
    },
  };
}
