// Whether what was read may be half of a file that is still being written. Each reading is judged by itself and by the one
// before it.

/** A file that was written to within this time may not be whole yet: a file put in place was written before, and hinted at. */
const QUIET_MS = 15;

export interface Sighting {
  readonly inode: number;
  /** since it was last written to */
  readonly ageMs: number;
}

export interface Readings {
  /** of the latest reading that found something */
  readonly mayBeTorn: boolean;
  /** Begins a reading; the answer is to be called with what it finds, and not at all if that is nothing. */
  begin(): (seen: Sighting) => void;
}

export function openReadings(): Readings {
  /** of the latest reading; 0 before the first one, undefined while there is one and after one that found nothing */
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
        // a rename, or kubelet's swap of a link, brings another inode with all of its content; a write in place doesn't,
        // and a file that was deleted and made anew is another inode without it
        mayBeTorn = before === undefined || before === inode || seen.ageMs < QUIET_MS;
      };
    },
  };
}
