// A reporter for node --test: Node's "spec" reporter, which also appends a JSON line for each test to the file that
// FAULT_RESULTS names, if set. All suites use it, so that the matrix needs no run of its own.

import { appendFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { spec } from 'node:test/reporters';
import type { TestResult } from './verdict.ts';

interface TestEvent {
  readonly type: string;
  readonly data: {
    readonly name?: string;
    readonly file?: string;
    readonly skip?: string | boolean;
    readonly todo?: string | boolean;
  };
}

export default async function* record(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  yield* Readable.from(recorded(source)).compose(new spec()) as AsyncIterable<string>;
}

async function* recorded(source: AsyncIterable<TestEvent>): AsyncGenerator<TestEvent> {
  const results = process.env['FAULT_RESULTS'];
  for await (const event of source) {
    const result = resultOf(event);
    if (results && result !== undefined) appendFileSync(results, `${JSON.stringify(result)}\n`);
    yield event;
  }
}

function resultOf({ type, data }: TestEvent): TestResult | undefined {
  if ((type !== 'test:pass' && type !== 'test:fail') || data.name === undefined) return undefined;
  // Node reports a skipped test as passed, and a failing todo as no failure
  const skipped = isSaid(data.skip) || isSaid(data.todo);
  const outcome = skipped ? 'skipped' : type === 'test:pass' ? 'passed' : 'failed';
  return { file: data.file ?? '', name: data.name, outcome };
}

/** The reason may be an empty string. */
const isSaid = (mark: string | boolean | undefined): boolean => mark !== undefined && mark !== false;
