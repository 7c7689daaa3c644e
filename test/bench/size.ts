// What the image adds to its base, file by file.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { ownRow, type Row } from './figures.ts';

export function size(): Row[] {
  const files = readdirSync('dist')
    .filter((name) => name.endsWith('.mjs'))
    .map((name) => readFileSync(join('dist', name)));
  const sum = (sizes: readonly number[]) => sizes.reduce((total, one) => total + one, 0);
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(2)} MB`;
  const plain = megabytes(sum(files.map(({ length }) => length)));
  const packed = megabytes(sum(files.map((file) => gzipSync(file).length)));
  return [ownRow('the programs', `${plain}, ${packed} compressed`, '2 MB')];
}
