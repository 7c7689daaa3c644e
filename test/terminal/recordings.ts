// Recordings of terminal windows in files, for people to review: transcripts, and pictures for the documentation. With
// REWRITE_TRANSCRIPTS=1, a transcript or a picture that differs is written again.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assertTranscript } from '../support/transcripts.ts';
import { type Line, rowsOf, textOf, withoutDurations, withoutTimes } from './lines.ts';
import { drawWindow } from './picture.ts';
import { COLUMNS } from './window.ts';

const TRANSCRIPTS = join(import.meta.dirname, 'transcripts');
const PICTURES = join(import.meta.dirname, '../../docs/images');

/** Compares the rows of a window with a transcript. Times aren't compared. @param stable replaces what else varies */
export function assertRecorded(name: string, lines: readonly Line[], stable = (text: string) => text): void {
  const rows = lines.flatMap((line) =>
    rowsOf([{ text: stable(withoutTimes(textOf(line))), colour: undefined }], COLUMNS),
  );
  assertTranscript(
    join(TRANSCRIPTS, `${name}.txt`),
    rows.map((row) => textOf(row).trimEnd()),
  );
}

/** Compares lines of a window with a picture. The picture keeps the times of the recording that it was drawn from. */
export function assertPictured(name: string, title: string, lines: readonly Line[]): void {
  const file = join(PICTURES, `${name}.svg`);
  const drawn = drawWindow(title, lines);
  const kept = () => (existsSync(file) ? comparable(readFileSync(file, 'utf8')) : '');
  if (process.env['REWRITE_TRANSCRIPTS'] === '1' && kept() !== comparable(drawn)) {
    mkdirSync(PICTURES, { recursive: true });
    writeFileSync(file, drawn);
  }
  assert.equal(comparable(drawn), kept(), `the picture differs from ${file}`);
}

const comparable = (picture: string): string => withoutDurations(withoutTimes(picture));
