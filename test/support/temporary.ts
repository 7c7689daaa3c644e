// A directory for one test, gone after it.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Whatever ends one day and calls these then: a test, or a benchmark. */
export interface Scope {
  after(done: () => unknown): void;
}

export async function temporaryDirectory(t: Scope): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'vault-token-sidecar-test-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}
