// A terminal window of 100 columns: a shell on a pseudo-terminal, and an emulator that turns its output into a screen.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import xterm, { type IBufferCell } from '@xterm/headless';
import { sidecarInShell } from '../support/program.ts';
import type { Scope } from '../support/scope.ts';
import { until } from '../support/settling.ts';
import { startProgram } from '../support/started.ts';
import { type Colour, type Line, type Span, textOf } from './lines.ts';

export const COLUMNS = 100;
const ROWS = 50;
/** More rows than any recording has, so that none is lost. */
const HISTORY = 10_000;
const PROMPT = '$ ';
/** How long a command may take; the demo takes 20 s. */
const LIMIT_MS = 120_000;

export interface Window {
  /** Types a command, and waits until it has ended. */
  run(command: string): Promise<void>;
  /** Types a command, and waits until the window shows a text. */
  start(command: string, shows: RegExp): Promise<void>;
  /** Presses Ctrl-C, and waits until the command has ended. */
  interrupt(): Promise<void>;
  /** all lines, with those that have left the window at the top */
  lines(): readonly Line[];
}

/** Opens a window in a directory, which is the home directory too, and holds the sidecar's program. */
export async function openWindow(t: Scope, directory: string): Promise<Window> {
  await writeFile(join(directory, 'vault-token-sidecar'), `#!/bin/sh\nexec ${sidecarInShell()} "$@"\n`, {
    mode: 0o755,
  });
  const screen = new xterm.Terminal({ cols: COLUMNS, rows: ROWS, scrollback: HISTORY, allowProposedApi: true });
  const shell = `stty cols ${COLUMNS} rows ${ROWS}; cd '${directory}'; exec sh -i`;
  const { child } = startProgram(
    t,
    ['script', '--quiet', '--flush', '--echo', 'always', '--command', shell, '/dev/null'],
    {
      PATH: `${directory}:${process.env['PATH']}`,
      HOME: directory,
      TMPDIR: '/tmp',
      TERM: 'xterm-256color',
      LANG: 'C.UTF-8',
      SHELL: '/bin/sh',
      PS1: PROMPT,
    },
  );
  child.stdout?.on('data', (chunk: Buffer) => screen.write(chunk));

  const { active } = screen.buffer;
  const row = () => active.baseY + active.cursorY;
  const lines = () => linesOf(screen);
  const text = () => lines().map(textOf).join('\n');
  // a command may leave its last line without an end
  const isAtPrompt = () => active.getLine(row())?.translateToString(false, 0, active.cursorX).endsWith(PROMPT) === true;
  const waitFor = async (what: string, look: () => boolean): Promise<void> => {
    await until(what, look, LIMIT_MS).catch((error: Error) => {
      throw new Error(`${error.message}\n${text()}`);
    });
  };
  /** Presses keys, and returns a function that reports whether the shell has answered with its prompt. */
  const press = (keys: string) => {
    const before = row();
    child.stdin?.write(keys);
    return () => row() > before && isAtPrompt();
  };
  await waitFor('the first prompt', isAtPrompt);
  return {
    lines,
    run: (command) => waitFor(`the end of ${command}`, press(`${command}\r`)),
    async start(command, shows) {
      press(`${command}\r`);
      await waitFor(`${command} shows ${shows}`, () => shows.test(text()));
    },
    interrupt: () => waitFor('the end after Ctrl-C', press('\x03')),
  };
}

/** Reads the screen and its history. */
function linesOf(screen: xterm.Terminal): Line[] {
  const { active } = screen.buffer;
  const lines: Span[][] = [];
  for (let y = 0; y < active.length; y++) {
    const row = active.getLine(y);
    if (row === undefined) break;
    if (!row.isWrapped || lines.length === 0) lines.push([]);
    const line = lines.at(-1) ?? [];
    const width = active.getLine(y + 1)?.isWrapped === true ? COLUMNS : row.translateToString(true).length;
    for (let x = 0; x < width; x++) {
      const cell = row.getCell(x);
      const [chars, colour] = [cell?.getChars() || ' ', colourOf(cell)];
      const last = line.at(-1);
      if (last !== undefined && last.colour === colour) line.splice(-1, 1, { text: last.text + chars, colour });
      else line.push({ text: chars, colour });
    }
  }
  while (lines.at(-1)?.length === 0) lines.pop();
  return lines;
}

const PALETTE: readonly (Colour | undefined)[] = [undefined, 'red', 'green', 'yellow', 'blue', undefined, 'cyan'];

function colourOf(cell: IBufferCell | undefined): Colour | undefined {
  if (cell === undefined) return undefined;
  if (cell.isFgPalette()) return PALETTE[cell.getFgColor()];
  return cell.isDim() ? 'dim' : undefined;
}
