// Colours for text on a terminal.

type Colour = 'red' | 'green' | 'yellow' | 'blue' | 'cyan' | 'dim';

export type Paint = (colour: Colour, text: string) => string;

export interface Terminal {
  readonly isTty: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}

const CODES: Readonly<Record<Colour, number>> = { dim: 2, red: 31, green: 32, yellow: 33, blue: 34, cyan: 36 };

/** Paints only on a terminal, and not if NO_COLOR is set: https://no-color.org */
export const painter =
  ({ isTty, env }: Terminal): Paint =>
  (colour, text) =>
    isTty && !env['NO_COLOR'] ? `\x1b[${CODES[colour]}m${text}\x1b[0m` : text;
