// The lines of a terminal window, and what is done to them before they are kept in a file: names that change with each run
// become stable, and times and durations aren't compared.

import { createHash } from 'node:crypto';
import packageJson from '../../package.json' with { type: 'json' };

export type Colour = 'dim' | 'red' | 'green' | 'yellow' | 'blue' | 'cyan';

/** Characters of one colour. */
export interface Span {
  readonly text: string;
  readonly colour: Colour | undefined;
}

/** What a program wrote as one line, even if the window shows it in several rows. */
export type Line = readonly Span[];

export const textOf = (line: Line): string => line.map(({ text }) => text).join('');

/** Returns the lines from the first one that matches `from`, up to the next one that matches `to`. */
export function between(lines: readonly Line[], from: RegExp, to: RegExp): readonly Line[] {
  const first = lines.findIndex((line) => from.test(textOf(line)));
  const last = lines.findIndex((line, index) => index > first && to.test(textOf(line)));
  if (first < 0 || last < 0) throw new Error(`no lines from ${from} to ${to} in:\n${lines.map(textOf).join('\n')}`);
  return lines.slice(first, last);
}

/** Breaks a line into the rows of a window. */
export function rowsOf(line: Line, columns: number): readonly Line[] {
  const rows: Span[][] = [[]];
  let left = columns;
  for (const { text, colour } of line) {
    for (let at = 0; at < text.length; ) {
      if (left === 0) {
        rows.push([]);
        left = columns;
      }
      const part = text.slice(at, at + left);
      rows.at(-1)?.push({ text: part, colour });
      at += part.length;
      left -= part.length;
    }
  }
  return rows;
}

const VERSION = new RegExp(`(?<![\\d.])${packageJson.version.replaceAll('.', '\\.')}(?![\\d.])`, 'g');

/**
 * Replaces what differs in each run or release and means nothing: directories, ports, tokens, accessors, the version. Equal names
 * stay equal.
 */
export function withStableNames(lines: readonly Line[], home: string): readonly Line[] {
  const ports = namesOf((index) => `127.0.0.1:${40_001 + index}`);
  const directories = namesOf(() => '/tmp/vault-token-sidecar-Kq3vZp');
  const secrets = namesOf((index) => `hvs.${noise(`token ${index}`, 92)}`);
  const accessors = namesOf((index) => noise(`accessor ${index}`, 24));
  const stable = (text: string) =>
    text
      .replaceAll(home, '/home/me')
      .replaceAll(VERSION, '1.0.0')
      .replaceAll(/127\.0\.0\.1:\d{5}/g, ports)
      .replaceAll(/\/tmp\/vault-token-sidecar-\w{6}/g, directories)
      .replaceAll(/hvs\.[\w-]+/g, secrets)
      .replaceAll(/(?<=accessor )[\w-]{8}(?=\.{3})/g, (start) => accessors(start).slice(0, 8))
      .replaceAll(/(?<=accessor(?:": ?"| ))[\w-]{24}/g, (whole) => accessors(whole.slice(0, 8)));
  return inOrder(lines.map((line) => line.map(({ text, colour }) => ({ text: stable(text), colour }))));
}

/** Returns a function that gives each name another one, by the order of their first use. */
function namesOf(nth: (index: number) => string): (name: string) => string {
  const names = new Map<string, string>();
  return (name) => {
    const known = names.get(name) ?? nth(names.size);
    names.set(name, known);
    return known;
  };
}

const noise = (seed: string, length: number): string =>
  createHash('sha512').update(seed).digest('base64url').repeat(2).slice(0, length);

/** Sorts neighbours that report a written file, since the files are written at the same time. */
function inOrder(lines: readonly Line[]): readonly Line[] {
  const sorted = [...lines];
  for (let end = 1; end < sorted.length; end += 1)
    for (let at = end; at > 0 && isAfter(sorted[at - 1], sorted[at]); at -= 1)
      sorted.splice(at - 1, 2, ...sorted.slice(at - 1, at + 1).reverse());
  return sorted;
}

function isAfter(one: Line = [], other: Line = []): boolean {
  const [path, otherPath] = [one, other].map((line) => /-> file +(\S+)$/.exec(textOf(line))?.[1]);
  return path !== undefined && otherPath !== undefined && path > otherPath;
}

/** Replaces the dates and times of a text by placeholders. */
export const withoutTimes = (text: string): string =>
  text.replaceAll(/\b20\d\d-\d\d-\d\d(?!\d)/g, 'YYYY-MM-DD').replaceAll(/(?<!\d)\d\d:\d\d:\d\d(\.\d+)?/g, 'HH:MM:SS');

/**
 * Replaces what depends on the time since the last login or renewal, of a text or of a picture: durations, the bar of what is left
 * of a token, the last call. Columns stay aligned.
 */
export const withoutDurations = (text: string): string =>
  text
    .replaceAll(/\b(?:\d+m )?\d+ ?(?:s|min)\b(?: {2,})?/g, (found) =>
      'Ns'.padEnd(found.trimEnd() === found ? 0 : found.length),
    )
    .replaceAll(/(?<="expires_in":)\d+/g, 'N')
    .replaceAll(/(?<=the last call, )\w+/g, 'login')
    .replaceAll(/\[(<[^>]*>)?#+(<[^>]*>)?\.*\]/g, '[$1####$2....]');
