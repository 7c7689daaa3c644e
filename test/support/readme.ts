// The pages of the documentation and their commands. Each line of an `sh` block is a command that a test runs.

import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');

/** All pages, as paths from the repository's root. */
export const PAGES: readonly string[] = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...globSync(['docs/*.md', 'deploy/*/README.md'], { cwd: ROOT }).sort(),
];

export const pageText = (page: string): string => readFileSync(join(ROOT, page), 'utf8');

/** A fenced code block, with the heading above it. */
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

/** Returns the first code block of a language under a heading of a page. */
export function readmeBlock(page: string, heading: string, language: string): string {
  const found = BLOCKS.find((one) => one.page === page && one.heading === heading && one.language === language);
  if (found === undefined) throw new Error(`${page} has no block of ${language} under "${heading}"`);
  return found.text;
}

/** Sections whose blocks are scripts, and the test that runs each of them as a whole. */
export const SCRIPTS: Readonly<Record<string, string>> = {
  'README.md#Try it with your own Vault': 'test/vault/docs.real.ts',
  'docs/api-proxy.md#API proxy': 'test/vault/proxy.real.ts',
  'docs/clients.md#Shell': 'test/vault/docs.real.ts',
  'docs/token-api.md#In a shell': 'test/http/long-poll.test.ts',
};

export const isScript = ({ page, heading }: Block): boolean => `${page}#${heading}` in SCRIPTS;

/** All commands outside of scripts, without duplicates. Lines joined by a backslash are one command. */
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

/** The commands that call one of the programs, also after variables or `sudo`. */
export const readmeCommands = (...programs: readonly string[]): readonly string[] =>
  README_COMMANDS.filter((command) => programs.includes(programOf(command)));

export const programOf = (command: string): string =>
  command.split(' ').find((word) => word !== 'sudo' && !/^\w+=/.test(word)) ?? '';
