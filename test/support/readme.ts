// The README's commands: every line of its sh blocks. Each is run by a test, so that none of them can rot.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const README = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');

/** A line that goes on after a backslash is one command. */
export const README_COMMANDS: readonly string[] = [...README.matchAll(/^```sh\n([^`]*)^```$/gm)].flatMap(
  ([, block = '']) =>
    block
      .replaceAll(/\\\n\s*/g, '')
      .trim()
      .split('\n'),
);

/** Those that call one of the programs, whatever variables or `sudo` stand before it. */
export const readmeCommands = (...programs: readonly string[]): readonly string[] =>
  README_COMMANDS.filter((command) => programs.includes(programOf(command)));

export const programOf = (command: string): string =>
  command.split(' ').find((word) => word !== 'sudo' && !/^\w+=/.test(word)) ?? '';
