// Colours for text on a terminal.

import type { Io } from '../host/io.ts';

export type Colour = 'green' | 'yellow' | 'red' | 'dim';
export type Paint = (colour: Colour, text: string) => string;

const CODES: Readonly<Record<Colour, number>> = { red: 31, green: 32, yellow: 33, dim: 2 };

/** Paints only on a terminal, and not if NO_COLOR is set: https://no-color.org */
export const painter =
  ({ isTty, env }: Pick<Io, 'isTty' | 'env'>): Paint =>
  (colour, text) =>
    isTty && !env['NO_COLOR'] ? `\x1b[${CODES[colour]}m${text}\x1b[0m` : text;
