// Checks a log line against the table of events, which the documentation is made from.

import assert from 'node:assert/strict';
import { EVENTS } from '../../src/observe/events.ts';

const EACH = ['time', 'level', 'event', 'exchange'];

export function assertDocumented(line: Readonly<Record<string, unknown>>): void {
  const name = String(line['event']);
  const event = Object.entries(EVENTS).find(([one]) => one === name)?.[1];
  assert.ok(event !== undefined, `src/observe/events.ts lacks ${name}`);
  assert.equal(line['level'], event.level, name);
  const members: readonly string[] = [...EACH, ...event.members];
  const unknown = Object.keys(line).filter((member) => !members.includes(member));
  assert.deepEqual(unknown, [], `src/observe/events.ts lacks members of ${name}`);
}
