// The reference of the log events in docs/observability.md: a table, and the members of each event.

import { EVENTS } from '../src/observe/events.ts';
import { table } from './table.ts';
import { wrapped } from './wrapped.ts';

export function eventTable(): string {
  const rows = Object.entries(EVENTS).map(([name, { level, meaning }]) => [`\`${name}\``, level, meaning]);
  return table([['event', 'level', 'meaning'], ...rows]);
}

/** One item for all events with the same members, in the order of the table. */
export function eventMembers(): string {
  const groups = new Map<string, string[]>();
  for (const [name, { members }] of Object.entries(EVENTS)) {
    if (members.length === 0) continue;
    const key = members.map((member) => `\`${member}\``).join(', ');
    groups.set(key, [...(groups.get(key) ?? []), `\`${name}\``]);
  }
  return [...groups].map(([members, names]) => wrapped(`${names.join(', ')}: ${members}`, '- ')).join('\n');
}
