// A log for tests of the log itself, which write events that the program doesn't have.

import type { LogLevel } from '../../src/core/settings.ts';
import { type Log, type LogFields, openLog } from '../../src/observe/log.ts';

type Write = (level: LogLevel, event: string, fields?: LogFields, wall?: number) => void;
type LooseLog = Omit<Log, 'write' | 'writeLast'> & { readonly write: Write; readonly writeLast: Write };

export const openLooseLog = (...options: Parameters<typeof openLog>): LooseLog =>
  openLog(...options) as unknown as LooseLog;
