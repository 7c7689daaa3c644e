// The one door to chokidar: watches a directory, and tells that something in it changed, never what. Events are hints;
// the truth is read by whoever asked. Kubelet's volumes swap a symlink in the directory, so the directory is watched,
// not the file, and links are not followed.

import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type FSWatcher, watch } from 'chokidar';

export interface Watch {
  /** true while changes are told of; false: only reading again tells */
  isAlive(): boolean;
  /** Watches anew where the watcher failed, or the directory is another one than it was. */
  repair(): Promise<void>;
  close(): Promise<void>;
}

/** Watches the directory of the file at `path`. */
export function watchDirectoryOf(path: string, onHint: () => void): Watch {
  const directory = dirname(path);
  let watching: { readonly watcher: FSWatcher; readonly identity: string; ready: boolean } | undefined;
  let closed = false;

  async function stop(): Promise<void> {
    const { watcher } = watching ?? {};
    watching = undefined;
    await watcher?.close();
  }

  const watch: Watch = {
    isAlive: () => watching?.ready === true,
    async repair() {
      const identity = await identityOf(directory);
      if (closed || identity === watching?.identity) return;
      await stop();
      if (identity === undefined || closed) return;
      const opened = { watcher: openWatcher(directory), identity, ready: false };
      watching = opened;
      opened.watcher.on('all', onHint).on('ready', () => {
        // comes even where no watch could be set, after the error that says so
        if (watching !== opened) return;
        // what changed while the watch was being set up was told by nobody
        opened.ready = true;
        onHint();
      });
      // an error without a listener would end the process; EMFILE and ENOSPC mean that inotify is exhausted
      opened.watcher.on('error', () => {
        if (watching === opened) void stop();
      });
    },
    async close() {
      closed = true;
      await stop();
    },
  };
  void watch.repair();
  return watch;
}

function openWatcher(directory: string): FSWatcher {
  return watch(directory, { depth: 0, followSymlinks: false, ignoreInitial: true, atomic: false, persistent: true });
}

/** Which directory it is, links followed: another one may stand under the same name, even with the same inode number. */
async function identityOf(directory: string): Promise<string | undefined> {
  const stats = await stat(directory).catch(() => undefined);
  return stats?.isDirectory() ? `${stats.dev}:${stats.ino}:${stats.birthtimeMs}` : undefined;
}
