// A temporary directory for one test, removed after it.

import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Scope, scopeOf } from './scope.ts';

export async function temporaryDirectory(t: Scope, parent = tmpdir()): Promise<string> {
  const directory = await mkdtemp(join(parent, 'vault-token-sidecar-test-'));
  scopeOf(t).after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Replaces a file as an issuer's agent does: writes a new file and renames it over the old one. */
export async function replaceByRename(path: string, content: string): Promise<void> {
  await writeFile(`${path}.new`, content);
  await rename(`${path}.new`, path);
}
