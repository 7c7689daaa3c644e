// The transcripts of the stories, one file each.

import { join } from 'node:path';
import { assertTranscript as assertText } from '../support/transcripts.ts';
import type { World } from '../support/world.ts';

const DIRECTORY = join(import.meta.dirname, 'transcripts');

/** Compares the whole transcript of a story with its file. */
export const assertTranscript = (name: string, { transcript }: World): void =>
  assertText(join(DIRECTORY, `${name}.txt`), transcript);
