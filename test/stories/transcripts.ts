// The transcripts of the stories, one file each, for people to review. REWRITE_TRANSCRIPTS=1 writes what
// the program does now: review the difference before you commit it.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { World } from '../support/world.ts';

const DIRECTORY = join(import.meta.dirname, 'transcripts');

/** Compares the whole transcript of a story with its file. */
export function assertTranscript(name: string, { transcript }: World): void {
  const file = join(DIRECTORY, `${name}.txt`);
  const text = `${transcript.join('\n')}\n`;
  if (process.env['REWRITE_TRANSCRIPTS'] === '1') {
    mkdirSync(DIRECTORY, { recursive: true });
    writeFileSync(file, text);
  }
  assert.equal(text, readFileSync(file, 'utf8'), `the transcript differs from ${file}`);
}
