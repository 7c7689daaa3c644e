// A file system that hangs, as a network mount whose server is gone: a FUSE mount without a server. Every operation on
// it blocks until the mount is released, and then fails.

import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Scope } from './scope.ts';

export interface HangingMount {
  readonly path: string;
  /** Makes all blocked operations fail. */
  release(): void;
}

/** Mounts on a new directory, since a mount inside a test's directory would block its removal. */
export function openHangingMount(t: Scope): HangingMount {
  const path = mkdtempSync(join(tmpdir(), 'vault-token-sidecar-hung-'));
  const device = openSync('/dev/fuse', constants.O_RDWR);
  // the mount lives as long as the device is open; closing it fails all blocked operations
  const options = 'fd=3,rootmode=40000,user_id=0,group_id=0';
  const mounted = spawnSync('mount', ['-i', '-t', 'fuse', '-o', options, 'hanging', path], {
    stdio: ['ignore', 'ignore', 'pipe', device],
    encoding: 'utf8',
  });
  if (mounted.status !== 0) {
    closeSync(device);
    throw new Error(`mount: ${mounted.stderr}`);
  }
  let isOpen = true;
  const release = () => {
    if (!isOpen) return;
    isOpen = false;
    closeSync(device);
    execFileSync('umount', ['-l', path]);
    rmdirSync(path);
  };
  t.after(release);
  return { path, release };
}

/** For a test's `skip`: the reason why such a mount is impossible, or false. */
export function withoutHangingMounts(): string | false {
  if (process.getuid?.() !== 0) return 'only root may mount';
  try {
    closeSync(openSync('/dev/fuse', constants.O_RDWR));
    return false;
  } catch {
    return 'there is no /dev/fuse';
  }
}

/** Whether a thread of the process waits for a FUSE file system. */
export const isWaitingForMount = (pid: number): boolean =>
  readdirSync(`/proc/${pid}/task`).some((task) =>
    /fuse|request_wait_answer/.test(readFileSync(`/proc/${pid}/task/${task}/wchan`, 'utf8')),
  );
