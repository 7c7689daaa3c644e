// The size of the files that the image adds to its base.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { atMost, ownRow, type Row } from './figures.ts';

export function size(): Row[] {
  const files = readdirSync('dist')
    .filter((name) => name.endsWith('.mjs'))
    .map((name) => readFileSync(join('dist', name)));
  const sum = (sizes: readonly number[]) => sizes.reduce((total, one) => total + one, 0);
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(2)} MB`;
  const bytes = sum(files.map(({ length }) => length));
  const packed = megabytes(sum(files.map((file) => gzipSync(file).length)));
  return [
    ownRow(
      'the programs',
      `${megabytes(bytes)}, ${packed} compressed`,
      atMost(bytes / 1e6, { most: 2, unit: 'MB', tolerance: 0, digits: 2 }),
    ),
  ];
}
