// Renders log lines for people: what happened, to which exchange, why, and what to do.

import { lineOf } from '../core/errors.ts';
import { painter, type Terminal } from '../core/paint.ts';
import type { LineFormat } from './log.ts';

interface Line {
  readonly time: string;
  readonly level: string;
  readonly event: string;
  readonly exchange?: string;
  readonly code?: string;
  readonly title?: string;
  readonly evidence?: string;
  readonly hint?: string;
  readonly reason?: string;
  readonly reasons?: readonly string[];
  readonly [other: string]: unknown;
}

/** Renders a line of the log as the command line's messages are: without time and level. */
export const asText: LineFormat = (json) => {
  const { exchange, words } = inWords(JSON.parse(json));
  return `vault-token-sidecar: ${exchange === undefined ? '' : `exchange ${exchange}: `}${words}\n`;
};

/** Renders a line with its time in UTC and its level. */
export function forTerminal(terminal: Terminal): LineFormat {
  const paint = painter(terminal);
  return (json) => {
    const line: Line = JSON.parse(json);
    const level = line.level.padEnd(5);
    const colour = COLOURS[line.level];
    return `${line.time.slice(11, 19)}Z  ${colour === undefined ? level : paint(colour, level)}  ${sentence(line)}\n`;
  };
}

/**
 * Puts a priority before each line, which systemd takes off and stores (see sd-daemon(3), SD_INFO).
 * @param isText whether the rest is text instead of JSON; the journal itself knows the time
 */
export function forJournal(isText: boolean): LineFormat {
  return (json) => {
    const line: Line = JSON.parse(json);
    return `<${PRIORITIES[line.level] ?? 6}>${isText ? `${sentence(line)}\n` : json}`;
  };
}

const COLOURS: Readonly<Record<string, 'red' | 'yellow' | 'green'>> = { error: 'red', warn: 'yellow', info: 'green' };

/** The priorities of syslog, RFC 5424, 6.2.1. */
const PRIORITIES: Readonly<Record<string, number>> = { error: 3, warn: 4, info: 6, debug: 7, trace: 7 };

function sentence(line: Line): string {
  const { exchange, words } = inWords(line);
  return exchange === undefined ? words : `${exchange}: ${words}`;
}

function inWords(line: Line) {
  const { time: _, level: __, event, exchange, code: ___, title, evidence, hint, reason, reasons, ...others } = line;
  const more = Object.entries(others).map(([name, value]) => `${name}=${value}`);
  const words = [
    event.replaceAll('_', ' '),
    ...(title === undefined || hint === undefined ? [evidence, hint] : [lineOf({ title, evidence, hint })]),
    // after a failure, the reason is its title
    title === undefined ? reason : undefined,
    reasons?.join('; '),
  ].filter((one) => one !== undefined);
  return { exchange, words: `${words.join(': ')}${more.length === 0 ? '' : ` (${more.join(', ')})`}` };
}
