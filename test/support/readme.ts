// The documentation: its pages, and the commands in them. Each line of a block marked sh is a command, and a test runs it.

import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');

/** Every page, as a path from the root of the repository. */
export const PAGES: readonly string[] = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...globSync(['docs/*.md', 'deploy/*/README.md'], { cwd: ROOT }).sort(),
];

export const pageText = (page: string): string => readFileSync(join(ROOT, page), 'utf8');

/** A fenced block, with the heading that it stands under. */
export interface Block {
  readonly page: string;
  readonly heading: string;
  readonly language: string;
  readonly text: string;
}

export const BLOCKS: readonly Block[] = PAGES.flatMap((page) => {
  let heading = '';
  const found = pageText(page).matchAll(/^#+ (.+)$|^( *)```(\S*)\n([\s\S]*?)^\2```$/gm);
  return [...found].flatMap(([, title, indent = '', language = '', text = '']) => {
    if (title === undefined) return [{ page, heading, language, text: text.replaceAll(`\n${indent}`, '\n') }];
    heading = title;
    return [];
  });
});

/** The first block of a language under a heading of a page. */
export function readmeBlock(page: string, heading: string, language: string): string {
  const found = BLOCKS.find((one) => one.page === page && one.heading === heading && one.language === language);
  if (found === undefined) throw new Error(`${page} has no block of ${language} under "${heading}"`);
  return found.text;
}

/** Sections whose commands belong together, and the test that runs them as one script. */
export const SCRIPTS: Readonly<Record<string, string>> = {
  'README.md#Try it with your own Vault': 'test/vault/docs.real.ts',
  'docs/clients.md#Shell': 'test/vault/docs.real.ts',
};

export const isScript = ({ page, heading }: Block): boolean => `${page}#${heading}` in SCRIPTS;

/** Every command that stands alone, once. A line that goes on after a backslash is one command. */
export const README_COMMANDS: readonly string[] = [
  ...new Set(
    BLOCKS.filter((one) => one.language === 'sh' && !isScript(one)).flatMap(({ text }) =>
      text
        .replaceAll(/\\\n\s*/g, '')
        .trim()
        .split('\n'),
    ),
  ),
];

/** Those that call one of the programs, whatever variables or `sudo` stand before it. */
export const readmeCommands = (...programs: readonly string[]): readonly string[] =>
  README_COMMANDS.filter((command) => programs.includes(programOf(command)));

export const programOf = (command: string): string =>
  command.split(' ').find((word) => word !== 'sudo' && !/^\w+=/.test(word)) ?? '';
