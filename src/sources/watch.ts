// The one door to chokidar: watches a directory, and tells that something in it changed, never what. Events are hints;
// the truth is read by whoever asked. Kubelet's volumes swap a symlink in the directory, so the directory is watched,
// not the file, and the links in it are not followed.

import { realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { FSWatcher } from 'chokidar';

export interface Watch {
  /** true while changes are told of, and until it is known whether they can be; false: only reading again tells */
  isAlive(): boolean;
  /** Watches anew where the watcher failed, or the directory is another one than it was. */
  repair(): Promise<void>;
  close(): Promise<void>;
}

/** Watches the directory of the file at `path`, from the first repair on. */
export function watchDirectoryOf(path: string, onHint: () => void): Watch {
  const directory = dirname(path);
  let watching: { readonly watcher: FSWatcher; readonly identity: string; ready: boolean } | undefined;
  let repairing: Promise<void> | undefined;
  /** until the first watch is set up, or can't be */
  let isNew = true;
  let closed = false;

  async function stop(): Promise<void> {
    const { watcher } = watching ?? {};
    watching = undefined;
    // one that can't be closed is no reason to leave the file unread
    await watcher?.close().catch(() => {});
  }

  async function repair(): Promise<void> {
    const place = await placeOf(directory);
    if (place === undefined) isNew = false;
    if (closed || place?.identity === watching?.identity) return;
    await stop();
    if (place === undefined) return;
    const opened = { watcher: await openWatcher(place.paths), identity: place.identity, ready: false };
    if (closed) return void opened.watcher.close();
    watching = opened;
    opened.watcher.on('all', onHint).on('ready', () => {
      // comes even where no watch could be set, after the error that says so
      if (watching !== opened) return;
      opened.ready = true;
      isNew = false;
      // what changed while the watch was being set up was told by nobody
      onHint();
    });
    // an error without a listener would end the process; EMFILE and ENOSPC mean that inotify is exhausted
    opened.watcher.on('error', () => {
      if (watching !== opened) return;
      void stop();
      const wasFirst = isNew;
      isNew = false;
      // whoever counts on the first watch is to look again, and sees that there is none
      if (wasFirst) onHint();
    });
  }

  return {
    isAlive: () => isNew || watching?.ready === true,
    repair() {
      // one at a time: of two watchers opened at once, only one would ever be closed
      repairing ??= repair().finally(() => {
        repairing = undefined;
      });
      return repairing;
    },
    async close() {
      closed = true;
      await stop();
    },
  };
}

/** Loaded when it is needed, which is after the first login has been sent. */
async function openWatcher(paths: readonly string[]): Promise<FSWatcher> {
  const { watch } = await import('chokidar');
  return watch([...paths], { depth: 0, followSymlinks: false, ignoreInitial: true, atomic: false, persistent: true });
}

interface WatchedPlace {
  /** the directory, and where it is a link, also what the link leads to: either may change */
  readonly paths: readonly string[];
  /** which directory it is: another one may stand under the same name, even with the same inode number */
  readonly identity: string;
}

async function placeOf(directory: string): Promise<WatchedPlace | undefined> {
  try {
    const real = await realpath(directory);
    const stats = await stat(real);
    if (!stats.isDirectory()) return undefined;
    return { paths: [...new Set([directory, real])], identity: `${stats.dev}:${stats.ino}:${stats.birthtimeMs}` };
  } catch {
    return undefined;
  }
}
