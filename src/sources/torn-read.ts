// Detects readings that may be torn, because the file was being written. Judges each reading by the file's age, and by
// the inode of the previous reading.

/** A younger file may be incomplete. A file renamed into place is older: the read follows its event after 20 ms. */
const QUIET_MS = 15;

export interface Sighting {
  readonly inode: number;
  /** time since the last modification */
  readonly ageMs: number;
}

export interface Readings {
  /** whether the latest successful reading may be torn */
  readonly mayBeTorn: boolean;
  /** Begins a reading. Call the returned function with the result, or not at all if the reading fails. */
  begin(): (seen: Sighting) => void;
}

export function openReadings(): Readings {
  /** inode of the latest reading; 0 before the first one, undefined during a reading and after a failed one */
  let inode: number | undefined = 0;
  let mayBeTorn = false;
  return {
    get mayBeTorn() {
      return mayBeTorn;
    },
    begin() {
      const before = inode;
      inode = undefined;
      return (seen) => {
        inode = seen.inode;
        // A rename, or kubelet's symlink swap, brings a new inode with complete content. A write in place keeps the
        // inode. A file that was deleted and recreated has a new inode, but may be incomplete.
        mayBeTorn = before === undefined || before === inode || seen.ageMs < QUIET_MS;
      };
    },
  };
}
