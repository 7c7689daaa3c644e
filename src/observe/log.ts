// JSON lines by pino: `time` in ISO 8601, `level` as a word, `event` in snake_case, then named members.
// A line never holds a secret: only named members are ever passed in, and whatever looks like a JWT or a Vault token
// in the finished line is cut out. Writing never blocks: a reader that stalls costs lines, which are counted.

import { setTimeout as pause } from 'node:timers/promises';
import pino from 'pino';
import { linesWithoutControls, scrub } from '../core/secret.ts';
import type { LogLevel } from '../core/settings.ts';

export type LogFields = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

export interface Log {
  /** @param wall when it happened, epoch milliseconds; now if left out */
  write(level: LogLevel, event: string, fields?: LogFields, wall?: number): void;
  setLevel(level: LogLevel): void;
  /** Before the process ends: what its reader doesn't take within a second is lost. */
  flush(): Promise<void>;
  /** The line after which the process ends: it is written when this returns, even if all file threads are taken. */
  writeLast(level: LogLevel, event: string, fields: LogFields): void;
}

/** Where lines go: a file descriptor, or a function that takes whole lines. */
export type LogTarget = number | ((line: string) => void);

const BUFFER_BYTES = 1024 * 1024;
/** What the end of the process waits for a reader that stalls. */
const FLUSH_MS = 1000;
/** And for the line that one of Node's file threads writes at the moment. */
const IN_FLIGHT_MS = 100;

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
  const write: Log['write'] = (at, event, fields = {}, wall = Date.now()) => {
    wallOfLine = wall;
    logger[at]({ event, ...safe(fields) });
  };
  return {
    write,
    setLevel(next) {
      logger.level = next;
    },
    async flush() {
      if ('flush' in destination) await destination.flush();
    },
    writeLast(at, event, fields) {
      if ('hold' in destination) destination.hold();
      write(at, event, fields);
      if ('flush' in destination) void destination.flush();
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
  // the library's property, missing in its types: a line that is shorter waits for a flush
  const hold = (minLength: number) => void Object.assign(destination, { minLength });
  return {
    write: (line: string) => void (isClosed || destination.write(line)),
    hold: () => hold(BUFFER_BYTES),
    async flush() {
      giveUpAt = performance.now() + FLUSH_MS;
      try {
        if (!isBroken) destination.flushSync();
      } catch {
        isBroken = true;
      }
      // pino flushes once more as the process exits, and sonic-boom would go on for ever where writing fails
      isClosed = isBroken;
      if (isClosed) return destination.destroy();
      hold(BUFFER_BYTES);
      await Promise.race([
        new Promise((resolve) => destination.flush(resolve)),
        pause(IN_FLIGHT_MS, undefined, { ref: false }),
      ]);
      hold(0);
    },
  };
}
