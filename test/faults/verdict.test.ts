// The fault matrix, and its printer: how each kind of test is recorded, and the verdict on each kind of row.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '../support/temporary.ts';
import { MATRIX } from './matrix.ts';
import { judge, rowsOf, type TestResult } from './verdict.ts';

const GROUPS = { A: 24, B: 15, C: 32, D: 17, E: 8, F: 18, G: 17, H: 8, I: 13, J: 10, K: 25, L: 10 };

const SMALL = [{ title: 'small', rows: { A1: ['a', 'b'], A2: ['c', 'd'], A3: ['e', 'f'] } }] as const;
const ALL_IDS = MATRIX.flatMap(({ rows }) => Object.keys(rows));

const result = (name: string, outcome: TestResult['outcome'] = 'passed'): TestResult => ({ file: 'f', name, outcome });

test('the matrix has each row once, in order, with at most 120 characters', () => {
  const expected = Object.entries(GROUPS).flatMap(([letter, count]) =>
    Array.from({ length: count }, (_, index) => `${letter}${index + 1}`),
  );
  assert.deepEqual(ALL_IDS, expected);
  for (const { rows } of MATRIX) for (const words of Object.values(rows)) assert.ok(words.join(': ').length <= 120);
});

test('the rows of a test are read from the brackets at the end of its name only', () => {
  assert.deepEqual(rowsOf('redirects go nowhere (C5)'), ['C5']);
  assert.deepEqual(rowsOf('a proxy (bad) is blamed (D4, D6, K25)'), ['D4', 'D6', 'K25']);
  assert.deepEqual(rowsOf('it stops (V12, I1)'), ['I1']);
  for (const name of ['a plain one', 'the token: A1', 'a scenario (S4)', 'a word (A1) in between', 'no space(A1)'])
    assert.deepEqual(rowsOf(name), [], name);
});

test('prints a verdict for each row and a last line with the counts', () => {
  const { lines, problems } = judge(SMALL, [result('x (A1)'), result('y (A1, A2)'), result('z (A3)')]);
  assert.deepEqual(lines, [
    '',
    'small',
    '  A1  passed  a: b',
    '  A2  passed  c: d',
    '  A3  passed  e: f',
    '',
    '3 rows: 3 passed, 0 failed, 0 no test',
  ]);
  assert.deepEqual(problems, []);
});

test('a row fails if one of its tests fails, and names that test', () => {
  const { lines, problems } = judge(SMALL, [result('x (A1)'), result('y (A1)', 'failed'), result('z (A2, A3)')]);
  assert.deepEqual(problems, ['A1 failed']);
  assert.ok(lines.includes(`${' '.repeat(14)}failed: f: y (A1)`));
});

test('a row without a test, or with a skipped one, is a problem', () => {
  const { lines, problems } = judge(SMALL, [result('x (A2)'), result('y (A2)', 'skipped'), result('z (A1)')]);
  assert.deepEqual(problems, ['A2 has no passing test', 'A3 has no passing test']);
  assert.equal(lines.at(-1), '3 rows: 1 passed, 0 failed, 2 no test');
});

test('an id that the matrix lacks is a problem', () => {
  const { problems } = judge(SMALL, [result('x (A1, A2, A3)'), result('z (A4)')]);
  assert.deepEqual(problems, ['A4 is no row of the matrix']);
});

const SAMPLE = `
  import { test } from 'node:test';
  test('passes (A1)', async (t) => { await t.test('inside (A2)', () => {}); });
  test('fails (A3)', () => { throw new Error('no'); });
  test('skipped (A4)', { skip: 'why' }, () => {});
  test('to be done (A5)', { todo: true }, () => { throw new Error('not yet'); });
  test('cancelled (A6)', { timeout: 50 }, () => new Promise(() => {}));
`;

function node(args: readonly string[], FAULT_RESULTS: string): Promise<{ code: number; out: string }> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  return new Promise((resolve) => {
    execFile(process.execPath, args, { env: { ...env, FAULT_RESULTS } }, (error, out) => {
      resolve({ code: error === null ? 0 : Number(error.code), out });
    });
  });
}

test('records passed, failed, skipped, todo and cancelled tests, and prints their rows', async (t) => {
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
  assert.deepEqual(Object.fromEntries(recorded.map(({ name, outcome }) => [name.slice(-3, -1), outcome])), {
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
  assert.match(printed.out, /^197 rows: 2 passed, 2 failed, 193 no test$/m);
  assert.match(printed.out, /^A4 has no passing test$/m);
});

test('the printer exits with 0 if all rows pass, and with 1 if nothing was recorded', async (t) => {
  const directory = await temporaryDirectory(t);
  const results = join(directory, 'results.jsonl');
  await writeFile(results, ALL_IDS.map((id) => `${JSON.stringify(result(`x (${id})`))}\n`).join(''));
  assert.equal((await node(['test/faults/run.ts'], results)).code, 0);
  assert.equal((await node(['test/faults/run.ts'], join(directory, 'none'))).code, 1);
});
