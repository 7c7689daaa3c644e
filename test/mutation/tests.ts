// Runs test files, and measures what they cover. A mutant is tried against the files that execute its place, in three
// stages: the file that most likely kills it, the other quick ones in one process, the slow ones side by side.

import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface TestFile {
  readonly path: string;
  /** how long it takes without a mutant */
  readonly ms: number;
  /** by source file: 1 for each offset that it executes */
  readonly covered: ReadonlyMap<string, Uint8Array>;
  /** by source file: how many mutants it was run against, and how many of those it killed */
  readonly tries: Map<string, { run: number; killed: number }>;
}

export type Verdict = 'passed' | 'failed' | 'hung';

interface Outcome {
  readonly verdict: Verdict;
  /** the file whose test failed, where the output names it */
  readonly failed?: string | undefined;
}

const MOST_BASELINE_MS = 120_000;
/** Files that take longer than this mostly wait, so they share the processor. */
const SLOW_MS = 2500;
const SLOW_AT_ONCE = 3;
/** Keeps what Node makes of the modules that don't change. */
const COMPILE_CACHE = mkdtempSync(join(tmpdir(), 'vault-token-sidecar-compiled-'));
/** The process groups of the tests that run. */
const groups = new Set<number>();
process.once('exit', () => {
  for (const group of groups) endGroup(group);
  rmSync(COMPILE_CACHE, { recursive: true, force: true });
});

function endGroup(group: number): void {
  groups.delete(group);
  try {
    process.kill(-group, 'SIGKILL');
  } catch {
    // it has ended
  }
}

/** Runs a file without a mutant, twice if it fails. @throws Error if it fails again: it would kill every mutant */
export async function measure(tree: string, path: string): Promise<TestFile> {
  const first = await measureOnce(tree, path);
  const { verdict, ...test } = first.verdict === 'passed' ? first : await measureOnce(tree, path);
  if (verdict !== 'passed') throw new Error(`${path} ${verdict} without a mutant`);
  return { ...test, path, tries: new Map() };
}

async function measureOnce(tree: string, path: string) {
  const coverage = mkdtempSync(join(tmpdir(), 'vault-token-sidecar-coverage-'));
  const startedAt = performance.now();
  const { verdict } = await run(tree, [path], MOST_BASELINE_MS, { NODE_V8_COVERAGE: coverage });
  const ms = performance.now() - startedAt;
  const covered = coveredOffsets(tree, coverage);
  rmSync(coverage, { recursive: true, force: true });
  return { verdict, ms, covered };
}

/** Runs the files that execute the source file at `at`, until one doesn't pass. */
export async function judge(tree: string, tests: readonly TestFile[], source: string, at: number): Promise<Verdict> {
  const covering = tests
    .filter(({ covered }) => covered.get(source)?.[at] === 1)
    .sort((a, b) => promise(b, source) - promise(a, source));
  const quick = covering.filter(({ ms }) => ms <= SLOW_MS);
  const slow = covering.filter(({ ms }) => ms > SLOW_MS).map((test) => [test]);
  const stages = [[quick.slice(0, 1)], [quick.slice(1)], slow];
  for (const groups of stages) {
    const verdict = await runGroups(
      tree,
      groups.filter((group) => group.length > 0),
      source,
    );
    if (verdict !== 'passed') return verdict;
  }
  return 'passed';
}

/** The chance that a file kills a mutant of the source file, by the time that it takes. */
function promise({ path, ms, tries }: TestFile, source: string): number {
  const { run, killed } = tries.get(source) ?? { run: 0, killed: 0 };
  const isMirror =
    path
      .split('/')
      .at(-1)
      ?.startsWith(source.split('/').at(-1)?.replace('.ts', '') ?? '') === true;
  return (killed + (isMirror ? 2 : 0.5)) / (run + (isMirror ? 2 : 1)) / ms;
}

/** Runs each group in a process of its own, a few side by side, until one doesn't pass. */
async function runGroups(tree: string, groups: readonly (readonly TestFile[])[], source: string): Promise<Verdict> {
  const abort = new AbortController();
  const left = [...groups];
  let found: Verdict = 'passed';
  const work = async () => {
    for (let group = left.shift(); group !== undefined && found === 'passed'; group = left.shift()) {
      const timeoutMs = 3 * group.reduce((sum, { ms }) => sum + ms, 0) + 5000;
      const paths = group.map(({ path }) => path);
      const { verdict, failed } = await run(tree, paths, timeoutMs, {}, abort.signal);
      if (found !== 'passed') return;
      found = verdict;
      for (const { path, tries } of group) {
        const earlier = tries.get(source) ?? { run: 0, killed: 0 };
        const kills = verdict !== 'passed' && (group.length === 1 || path === failed) ? 1 : 0;
        tries.set(source, { run: earlier.run + 1, killed: earlier.killed + kills });
      }
    }
    if (found !== 'passed') abort.abort();
  };
  await Promise.all(Array.from({ length: SLOW_AT_ONCE }, work));
  return found;
}

/** Runs files in one process to their end, to the first failure, or to the timeout. */
function run(
  cwd: string,
  paths: readonly string[],
  timeoutMs: number,
  extraEnv: Readonly<Record<string, string>>,
  signal?: AbortSignal,
): Promise<Outcome> {
  return new Promise((resolve) => {
    const args = ['--test', '--test-isolation=none', '--test-reporter=tap', ...paths];
    // the bundle has no mutants: a test that starts the program starts the source, which CI refuses elsewhere
    const env = { ...process.env, NODE_COMPILE_CACHE: COMPILE_CACHE, SIDECAR: 'source', CI: '', ...extraEnv };
    // a process group of its own: the tests start processes too
    const child = spawn(process.execPath, args, { cwd, env, stdio: ['ignore', 'pipe', 'ignore'], detached: true });
    const group = child.pid ?? Number.NaN;
    groups.add(group);
    keepWeight(group);
    const end = (outcome: Outcome) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abandon);
      endGroup(group);
      resolve(outcome);
    };
    const abandon = () => end({ verdict: 'failed' });
    signal?.addEventListener('abort', abandon);
    const timer = setTimeout(() => end({ verdict: 'hung' }), timeoutMs);
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      const failure = /^not ok [\s\S]*?^ {2}location: '(.*?):\d+:\d+'$/m.exec(out);
      if (failure !== null) end({ verdict: 'failed', failed: relative(cwd, failure[1] ?? '') });
    });
    child.on('exit', (code) => end({ verdict: code === 0 ? 'passed' : 'failed' }));
  });
}

/** Gives a session the weight of this one: the kernel schedules sessions by it, and a new one has the usual weight. */
function keepWeight(session: number): void {
  try {
    const [, nice = '0'] = / nice (-?\d+)/.exec(readFileSync('/proc/self/autogroup', 'utf8')) ?? [];
    writeFileSync(`/proc/${session}/autogroup`, nice);
  } catch {
    // the kernel has no such groups
  }
}

/** Reads V8's coverage: nested ranges with counts, the innermost of which decides. */
function coveredOffsets(tree: string, directory: string): Map<string, Uint8Array> {
  const covered = new Map<string, Uint8Array>();
  for (const name of readdirSync(directory)) {
    const { result } = JSON.parse(readFileSync(join(directory, name), 'utf8')) as V8Coverage;
    for (const { url, functions } of result) {
      const file = url.startsWith('file:') ? relative(tree, fileURLToPath(url)) : '';
      if (!file.startsWith('src/')) continue;
      const ranges = functions
        .flatMap((one) => one.ranges)
        .sort((a, b) => a.startOffset - b.startOffset || b.endOffset - a.endOffset);
      const own = new Uint8Array(Math.max(0, ...ranges.map(({ endOffset }) => endOffset)));
      for (const { startOffset, endOffset, count } of ranges) own.fill(count > 0 ? 1 : 0, startOffset, endOffset);
      const earlier = covered.get(file);
      covered.set(file, earlier === undefined ? own : own.map((one, at) => one | (earlier[at] ?? 0)));
    }
  }
  return covered;
}

interface V8Coverage {
  readonly result: readonly {
    readonly url: string;
    readonly functions: readonly {
      readonly ranges: readonly { readonly startOffset: number; readonly endOffset: number; readonly count: number }[];
    }[];
  }[];
}
