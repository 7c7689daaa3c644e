// The members of log lines that the documentation lists.

import assert from 'node:assert/strict';
import { pageText } from './readme.ts';

const EACH = ['time', 'level', 'event', 'exchange'];

const [, list = ''] = /^### Members$([\s\S]*?)^##/m.exec(pageText('docs/observability.md')) ?? [];

/** The names before and after the colon of each item. */
const ITEMS = [...list.matchAll(/^- ([^:]+):((?:.|\n {2})*)/gm)].map(([, events = '', members = '']) => ({
  events: namesIn(events),
  members: namesIn(members),
}));

function namesIn(text: string): string[] {
  return [...text.matchAll(/`(\w+)`/g)].map(([, name = '']) => name);
}

export const DOCUMENTED_MEMBERS: ReadonlySet<string> = new Set(ITEMS.flatMap(({ members }) => members));

/** Checks that the documentation lists each member of a log line. An item without events is about all of them. */
export function assertDocumented(line: Readonly<Record<string, unknown>>): void {
  const event = String(line['event']);
  const known = ITEMS.filter(({ events }) => events.length === 0 || events.includes(event));
  const documented = new Set([...EACH, ...known.flatMap(({ members }) => members)]);
  const unknown = Object.keys(line).filter((member) => !documented.has(member));
  assert.deepEqual(unknown, [], `docs/observability.md lacks members of ${event}`);
}
