// Recognises systemd's journal at the other end of a stream.
// https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html#%24JOURNAL_STREAM

import { fstatSync } from 'node:fs';

/**
 * Reports whether a file descriptor is the stream that systemd connected to its journal.
 * @param stream the value of JOURNAL_STREAM: "<device>:<inode>" of that stream. A child process inherits the variable, perhaps
 *   with another stream.
 */
export function isJournal(stream: string, fd: number): boolean {
  const { dev, ino } = fstatSync(fd);
  return stream === `${dev}:${ino}`;
}
