// Text of the documentation at its line width.

import { wrap } from '../src/cli/text.ts';

const WIDTH = 100;

/** Wraps text at the line width; continuation lines align with the text after the bullet. */
export const wrapped = (text: string, bullet: string): string =>
  bullet + wrap(text, WIDTH - bullet.length).join(`\n${' '.repeat(bullet.length)}`);
