// The log: JSON lines with `time` in ISO 8601, `level` as a word, `event` in snake_case, then named members.
// A line never contains a secret: callers pass named members only, and everything that looks like a JWT or a Vault token is
// redacted from the finished line. Writing never blocks: while the reader stalls, lines are dropped and counted.

import { setTimeout as pause } from 'node:timers/promises';
import pino from 'pino';
import { linesWithoutControls, scrub } from '../core/secret.ts';
import type { LogLevel } from '../core/settings.ts';
import type { EventName, FieldsOf, LevelOf, LogValue } from './events.ts';

/** The members of any event. */
export type LogFields = Readonly<Record<string, LogValue>>;

export interface Log {
  /** @param wall the time of the event in epoch milliseconds; by default, now */
  write<E extends EventName>(level: LevelOf<E>, event: E, fields?: FieldsOf<E>, wall?: number): void;
  setLevel(level: LogLevel): void;
  /**
   * Flushes the log before the process ends. Lines that the reader doesn't accept by the limit, a second by default, are lost.
   * Without time (0), it is done when it returns.
   */
  flush(limitMs?: number): Promise<void>;
  /** Writes the last line before the process ends, synchronously, so that it doesn't need a free file thread. */
  writeLast<E extends EventName>(level: LevelOf<E>, event: E, fields: FieldsOf<E>): void;
}

/** The destination: a file descriptor, or a function that takes whole lines. */
export type LogTarget = number | ((line: string) => void);

const BUFFER_BYTES = 1024 * 1024;
/** How long the exit waits for a reader that stalls. */
const FLUSH_MS = 1000;
/** How long the exit waits for the write in flight on one of Node's file threads. */
const IN_FLIGHT_MS = 100;

/** Renders a line of JSON in another way. Both end with a newline. */
export type LineFormat = (line: string) => string;

/** @param onDropped called once per dropped line */
export function openLog(
  level: LogLevel,
  target: LogTarget,
  onDropped: () => void,
  format: LineFormat = (line) => line,
): Log {
  const destination = typeof target === 'number' ? openDestination(target, onDropped) : { write: target };
  let wallOfLine = 0;
  const logger = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date(wallOfLine).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      hooks: { streamWrite: (line) => format(scrub(line)) },
    },
    destination,
  );
  const write = (at: LogLevel, event: EventName, fields: LogFields = {}, wall = Date.now()) => {
    wallOfLine = wall;
    logger[at]({ event, ...safe(fields) });
  };
  return {
    write,
    setLevel(next) {
      logger.level = next;
    },
    async flush(limitMs) {
      if ('flush' in destination) await destination.flush(limitMs);
    },
    writeLast(at: LogLevel, event: EventName, fields: LogFields) {
      if ('hold' in destination) destination.hold();
      write(at, event, fields);
      if ('flush' in destination) void destination.flush();
    },
  };
}

/** Removes control characters from fields, which may quote untrusted text: decoded from JSON, they would act on a terminal. */
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
  // The reader is gone (EPIPE) or the disk is full: the exchanges go on without a log.
  destination.on('error', () => {
    isBroken = true;
    onDropped();
  });
  destination.on('write', () => {
    isBroken = false;
  });
  // minLength is missing in the library's types: it buffers lines until their length reaches it.
  const hold = (minLength: number) => void Object.assign(destination, { minLength });
  return {
    write: (line: string) => void (isClosed || destination.write(line)),
    hold: () => hold(BUFFER_BYTES),
    async flush(limitMs = FLUSH_MS) {
      giveUpAt = performance.now() + limitMs;
      try {
        if (!isBroken) destination.flushSync();
      } catch {
        isBroken = true;
      }
      // pino flushes again at exit, and sonic-boom retries a failing write endlessly.
      isClosed = isBroken;
      if (isClosed) return destination.destroy();
      if (limitMs <= 0) return;
      hold(BUFFER_BYTES);
      // Within the library's callback, its request still counts as active, which would make the exit replace the process.
      await Promise.race([
        new Promise((resolve) => destination.flush(() => setImmediate(resolve))),
        pause(IN_FLIGHT_MS, undefined, { ref: false }),
      ]);
      hold(0);
    },
  };
}
