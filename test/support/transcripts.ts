// Transcripts for people to review. REWRITE_TRANSCRIPTS=1 writes what the program does now: review the difference before you
// commit it.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** Compares a transcript with its file. */
export function assertTranscript(file: string, lines: readonly string[]): void {
  const text = `${lines.join('\n')}\n`;
  if (process.env['REWRITE_TRANSCRIPTS'] === '1') {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  assert.equal(text, readFileSync(file, 'utf8'), `the transcript differs from ${file}`);
}
