// The workload JWT in a file, as written by kubelet (projected volumes) and CI runners. Hints when the file's directory
// changes. Never writes to the file, and never judges its content.

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
      const recordSighting = readings.begin();
      const wasFirst = isFirst;
      isFirst = false;
      if (!wasFirst) await watch.repair();
      const reading = readText(path);
      // the watch must not delay the first login: once it is set up, its hint triggers another read
      if (wasFirst) await reading.then(() => void watch.repair(), watch.repair);
      const found = await reading;
      recordSighting(found);
      return found.text;
    },
    close: () => watch.close(),
  };
}

/** @throws ExchangeError as the source's read() does */
export const readJwtFile = async (path: string): Promise<Secret> => (await readText(path)).text;

interface Found extends Sighting {
  readonly text: Secret;
}

async function readText(path: string): Promise<Found> {
  const file = await readSmallFile(path);
  if (isFileProblem(file)) throw new ExchangeError(CODES[file.problem], problemFacts(path, file));
  // trim() also removes a byte order mark
  const text = file.text.trim();
  if (text === '') throw new ExchangeError('jwt_empty', { kind: 'file', path });
  return { text: new Secret(text), inode: file.inode, ageMs: file.grew ? 0 : Date.now() - file.modifiedAt };
}

/** Adds the errno only for an unreadable file: the other error codes are specific enough. */
const problemFacts = (path: string, problem: FileProblem): Facts =>
  problem.problem === 'unreadable' ? { kind: 'file', path, ...problem } : { kind: 'file', path };

const CODES: Readonly<Record<FileProblem['problem'], ErrorCode>> = {
  missing: 'jwt_missing',
  unreadable: 'jwt_unreadable',
  'not-a-file': 'jwt_not_a_file',
  'too-large': 'jwt_too_large',
  stuck: 'jwt_read_stuck',
};
