// The workload JWT in a file, as kubelet's projected volumes and CI runners leave it. Reads it safely whatever stands at
// its path, and hints when its directory changes. Never writes to it; never judges what it holds.

import { type ErrorCode, ExchangeError } from '../core/errors.ts';
import type { Facts } from '../core/facts.ts';
import { Secret } from '../core/secret.ts';
import { type FileProblem, isFileProblem, readSmallFile } from '../files/small-file.ts';
import type { JwtSource } from './source.ts';
import { openReadings, type Sighting } from './torn-read.ts';
import { watchDirectoryOf } from './watch.ts';

export function openFileSource(path: string, onHint: () => void): JwtSource {
  const watch = watchDirectoryOf(path, onHint);
  const readings = openReadings();
  let isFirst = true;
  return {
    get watched() {
      return watch.isAlive();
    },
    get mayBeTorn() {
      return readings.mayBeTorn;
    },
    async read() {
      const see = readings.begin();
      const wasFirst = isFirst;
      isFirst = false;
      if (!wasFirst) await watch.repair();
      const looking = readText(path);
      // the first login waits for no watch, which asks for another look when it is set up
      if (wasFirst) await looking.then(() => void watch.repair(), watch.repair);
      const found = await looking;
      see(found);
      return found.text;
    },
    close: () => watch.close(),
  };
}

/** @throws ExchangeError as reading the source does */
export const readJwtFile = async (path: string): Promise<Secret> => (await readText(path)).text;

interface Found extends Sighting {
  readonly text: Secret;
}

async function readText(path: string): Promise<Found> {
  const file = await readSmallFile(path);
  if (isFileProblem(file)) throw new ExchangeError(CODES[file.problem], problemFacts(path, file));
  // trim() takes the byte order mark away too
  const text = file.text.trim();
  if (text === '') throw new ExchangeError('jwt_empty', { kind: 'file', path });
  return { text: new Secret(text), inode: file.inode, ageMs: file.grew ? 0 : Date.now() - file.modifiedAt };
}

/** The code says it all, but for a file that can't be read. */
const problemFacts = (path: string, problem: FileProblem): Facts =>
  problem.problem === 'unreadable' ? { kind: 'file', path, ...problem } : { kind: 'file', path };

const CODES: Readonly<Record<FileProblem['problem'], ErrorCode>> = {
  missing: 'jwt_missing',
  unreadable: 'jwt_unreadable',
  'not-a-file': 'jwt_not_a_file',
  'too-large': 'jwt_too_large',
  stuck: 'jwt_read_stuck',
};
