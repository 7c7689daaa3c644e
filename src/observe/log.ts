// JSON lines by pino: `time` in ISO 8601, `level` as a word, `event` in snake_case, then named members.
// A line never holds a secret: only named members are ever passed in, and whatever looks like a JWT or a Vault token
// in the finished line is cut out. Writing never blocks: a reader that stalls costs lines, which are counted.

import pino from 'pino';
import { scrub } from '../core/secret.ts';
import type { LogLevel } from '../core/settings.ts';

export type LogFields = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

export interface Log {
  write(level: LogLevel, event: string, fields?: LogFields): void;
  setLevel(level: LogLevel): void;
  flush(): void;
}

/** Where lines go: a file descriptor, or a function that takes whole lines. */
export type LogTarget = number | ((line: string) => void);

const BUFFER_BYTES = 1024 * 1024;

/** @param onDropped called once for each line that a stalled reader costs */
export function openLog(level: LogLevel, target: LogTarget, onDropped: () => void): Log {
  const destination = typeof target === 'number' ? openDestination(target, onDropped) : { write: target };
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      hooks: { streamWrite: (line) => scrub(line) },
    },
    destination,
  );
  return {
    write: (at, event, fields) => logger[at]({ event, ...fields }),
    setLevel(next) {
      logger.level = next;
    },
    flush: () => {
      if ('flushSync' in destination) destination.flushSync();
    },
  };
}

function openDestination(fd: number, onDropped: () => void) {
  const destination = pino.destination({ dest: fd, sync: false, minLength: 0, maxLength: BUFFER_BYTES });
  destination.on('drop', onDropped);
  // Nobody reads any more (EPIPE): the exchange goes on without its log.
  destination.on('error', onDropped);
  return destination;
}
