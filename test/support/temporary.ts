// A directory for one test, gone after it.

import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Scope, scopeOf } from './scope.ts';

export async function temporaryDirectory(t: Scope, parent = tmpdir()): Promise<string> {
  const directory = await mkdtemp(join(parent, 'vault-token-sidecar-test-'));
  scopeOf(t).after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Puts `content` in place as an issuer's agent does: a new file, renamed over the old one. */
export async function replaceByRename(path: string, content: string): Promise<void> {
  await writeFile(`${path}.new`, content);
  await rename(`${path}.new`, path);
}
