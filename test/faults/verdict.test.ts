// The matrix itself, and its printer: what is recorded of each kind of test, and what each kind of row makes of it.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '../support/temporary.ts';
import { BLOCKING, MATRIX } from './matrix.ts';
import { UNTESTED } from './untested.ts';
import { judge, rowsOf, type TestResult } from './verdict.ts';

const ALL = { matrix: MATRIX, blocking: BLOCKING, untested: UNTESTED };
const GROUPS = { A: 24, B: 15, C: 32, D: 17, E: 8, F: 18, G: 17, H: 8, I: 13, J: 10 };

/** Three rows, of which the second blocks and the third can't be tested. */
const SMALL = {
  matrix: [{ title: 'small', rows: { A1: ['a', 'b'], A2: ['c', 'd'], A3: ['e', 'f'] } }],
  blocking: ['A2'],
  untested: { A3: 'there is no such machine here' },
} as const;

const result = (name: string, outcome: TestResult['outcome'] = 'passed'): TestResult => ({ file: 'f', name, outcome });

test('the matrix has every row once, in order, and each in a few words', () => {
  const expected = Object.entries(GROUPS).flatMap(([letter, count]) =>
    Array.from({ length: count }, (_, index) => `${letter}${index + 1}`),
  );
  assert.deepEqual(
    MATRIX.flatMap(({ rows }) => Object.keys(rows)),
    expected,
  );
  for (const { rows } of MATRIX) for (const words of Object.values(rows)) assert.ok(words.join(': ').length <= 120);
  assert.deepEqual(
    judge(
      ALL,
      BLOCKING.map((id) => result(`${id}: x`)),
    ).problems,
    [],
  );
});

test("a test's name names its rows at the front, and nowhere else", () => {
  assert.deepEqual(rowsOf('C5: redirects go nowhere'), ['C5']);
  assert.deepEqual(rowsOf('D4, D6 C25: a proxy: bad'), ['D4', 'D6', 'C25']);
  assert.deepEqual(rowsOf('V12, I1, on_stop: it stops'), ['I1']);
  for (const name of ['a plain one', 'the token: A1', 'E2E: A1', 'S4: a scenario', 'A1 without a colon'])
    assert.deepEqual(rowsOf(name), [], name);
});

test('passed, failed, untestable: each row has its verdict, and the last line the counts', () => {
  const { lines, problems } = judge(SMALL, [result('A1: x'), result('A1, A2: y')]);
  assert.deepEqual(lines, [
    '',
    'small',
    '  A1  passed     a: b',
    '  A2  passed     c: d',
    '  A3  untestable e: f',
    '                 there is no such machine here',
    '',
    '3 rows: 2 passed, 0 failed, 1 untestable, 0 no test',
  ]);
  assert.deepEqual(problems, []);
});

test('a failed row is a problem, and names the test; passing tests of the same row are no excuse', () => {
  const { lines, problems } = judge(SMALL, [result('A1: x'), result('A1: y', 'failed'), result('A2: z')]);
  assert.deepEqual(problems, ['A1 failed']);
  assert.ok(lines.includes(`${' '.repeat(17)}failed: f: A1: y`));
});

test('a blocking row without a test, or with one that was skipped, is a problem; another row is not', () => {
  assert.deepEqual(judge(SMALL, []).problems, ['A2 blocks a release, and has no passing test']);
  const { lines, problems } = judge(SMALL, [result('A2: x'), result('A2: y', 'skipped'), result('A1: z', 'skipped')]);
  assert.deepEqual(problems, ['A2 blocks a release, and has no passing test']);
  assert.equal(lines.at(-1), '3 rows: 0 passed, 0 failed, 1 untestable, 2 no test');
  assert.deepEqual(judge({ ...SMALL, blocking: ['A3'] }, []).problems.length, 1, 'a reason does not release');
});

test('a row that nobody knows, and a reason where there is a test, are problems', () => {
  const { problems } = judge(SMALL, [result('A2: x'), result('A3: y'), result('A4: z')]);
  assert.deepEqual(problems, ['A4 is no row of the matrix', 'A3 is said to be untestable, and has a test']);
});

const SAMPLE = `
  import { test } from 'node:test';
  test('A1: passes', async (t) => { await t.test('A2: inside', () => {}); });
  test('A3: fails', () => { throw new Error('no'); });
  test('A4: skipped', { skip: 'why' }, () => {});
  test('A5: to be done', { todo: true }, () => { throw new Error('not yet'); });
  test('A6: cancelled', { timeout: 50 }, () => new Promise(() => {}));
`;

function node(args: readonly string[], FAULT_RESULTS: string): Promise<{ code: number; out: string }> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  return new Promise((resolve) => {
    execFile(process.execPath, args, { env: { ...env, FAULT_RESULTS } }, (error, out) => {
      resolve({ code: error === null ? 0 : Number(error.code), out });
    });
  });
}

test('what a run of tests records, and what is printed of it', async (t) => {
  const directory = await temporaryDirectory(t);
  const [sample, results] = [join(directory, 'sample.test.mjs'), join(directory, 'results.jsonl')];
  await writeFile(sample, SAMPLE);
  const ran = await node(['--test', '--test-reporter=./test/faults/record.ts', sample], results);
  assert.equal(ran.code, 1);
  assert.match(ran.out, /^ℹ tests 6$/m, "Node's own report is shown");
  const recorded = (await readFile(results, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(Object.fromEntries(recorded.map(({ name, outcome }) => [name.slice(0, 2), outcome])), {
    A1: 'passed',
    A2: 'passed',
    A3: 'failed',
    A4: 'skipped',
    A5: 'skipped',
    A6: 'failed',
  });
  assert.ok(recorded.every(({ file }) => file === sample));
  const printed = await node(['test/faults/run.ts'], results);
  assert.equal(printed.code, 1);
  assert.match(printed.out, /^ {2}A3 {2}failed /m);
  assert.match(printed.out, /^162 rows: 2 passed, 2 failed, \d+ untestable, \d+ no test$/m);
  assert.match(printed.out, /^A4 blocks a release, and has no passing test$/m);
});

test('where all is well the printer ends with 0; where nothing was recorded it does not', async (t) => {
  const directory = await temporaryDirectory(t);
  const results = join(directory, 'results.jsonl');
  await writeFile(results, BLOCKING.map((id) => `${JSON.stringify(result(`${id}: x`))}\n`).join(''));
  assert.equal((await node(['test/faults/run.ts'], results)).code, 0);
  assert.equal((await node(['test/faults/run.ts'], join(directory, 'none'))).code, 1);
});
