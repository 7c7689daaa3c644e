// The rules of the code's structure, each with its reason. See src/README.md.

import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { ERRORS } from '../src/core/errors.ts';
import { DIAGNOSES } from '../src/doctor/diagnose/codes.ts';

const FILES = globSync('src/**/*.ts')
  .filter((file) => !file.endsWith('.d.ts'))
  .sort();
/** The programs: the sidecar, and the image's health check. */
const ENTRIES = ['src/main.ts', 'src/healthcheck.ts'];
const LONGEST_FILE = 300;
const LONGEST_FUNCTION = 70;
const MOST_FILES_AT_THE_TOP = 5;

interface Import {
  readonly from: string;
  readonly target: string;
  readonly typeOnly: boolean;
}

const textOf = (file: string): string => readFileSync(file, 'utf8');
const codeOf = (file: string): string => textOf(file).replace(/^\s*(?:\/\/|\/?\*).*$/gm, '');

function importsOf(file: string): Import[] {
  const found = codeOf(file).matchAll(
    /import\s+(type\s)?(?:([^;'"]*?)\sfrom\s+)?['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)/g,
  );
  return [...found].map(([, typeWord, names, statical, dynamic]) => {
    const specifier = statical ?? dynamic ?? '';
    const target = specifier.startsWith('.') ? normalize(join(dirname(file), specifier)) : specifier;
    const allTypes = /^\{(?:\s*type\s[^,}]+,?)+\s*\}$/.test(names?.trim() ?? '');
    return { from: file, target, typeOnly: typeWord !== undefined || allTypes };
  });
}

/** The folders of src/, from the bottom to the top. A file imports from its own folder and from those below it. */
const ROOMS = [
  ['core', 'files'],
  ['network'],
  ['vault', 'sources', 'sinks'],
  ['exchange'],
  ['http', 'observe', 'config', 'host', 'dev', 'cli'],
  ['setup', 'proxy'],
  ['doctor', 'init'],
  ['commands'],
] as const;

/** The allowed imports of each layer; `types` may only be imported as types. */
const LAYERS: readonly { who: RegExp; may: RegExp; types?: RegExp; why: string }[] = [
  { who: /^src\/core\//, may: /^(src\/core\/|jose$)/, why: 'decisions must be replayable, so the core does no IO' },
  {
    who: /^src\/doctor\/diagnose\//,
    may: /^src\/(core\/|doctor\/diagnose\/|setup\/(plan|diff|text|trust)\.ts)/,
    why: 'a diagnosis is a function of the evidence',
  },
  {
    who: /^src\/setup\/(plan|diff|text|trust|vault-admin)\.ts$/,
    may: /^src\/(core\/|setup\/(plan|diff|text|trust)\.ts)/,
    why: 'a plan is a function of the config',
  },
  {
    who: /^src\/(network|sources|sinks|vault|http)\//,
    may: /^(src\/(core|files|network)\/|node:|undici(\/|$)|fastify$|typebox$)/,
    types: /^src\/exchange\/view\.ts$/,
    why: 'an adapter must be replaceable on its own',
  },
  { who: /^src\/files\//, may: /^node:/, why: 'all adapters share it' },
  {
    who: /^src\/exchange\//,
    may: /^(src\/(core\/|files\/deadline)|node:)/,
    types: /^src\/(sources|sinks|vault)\//,
    why: 'tests inject fakes',
  },
  {
    who: /^src\/observe\//,
    may: /^(src\/core\/|src\/observe\/|pino$|prom-client$|node:timers\/promises$)/,
    types: /^src\/exchange\/runner\.ts$/,
    why: 'observers get plain values',
  },
  {
    who: /^src\/config\//,
    may: /^(src\/(core|config)\/|typebox(\/|$)|jsonc-parser$|node:path)/,
    why: 'validation needs no IO',
  },
  {
    who: /^src\/cli\//,
    may: /^(src\/(core|cli)\/|src\/config\/variables\.ts|src\/host\/io\.ts|node:util$)/,
    why: 'the daemon loads it, so it holds descriptions only',
  },
  {
    who: /^src\/dev\//,
    may: /^(src\/dev\/|jose$|node:)/,
    why: 'the development servers are independent of the daemon',
  },
];

/** The only files that may import each package. */
const DOORS: Readonly<Record<string, RegExp>> = {
  undici: /^src\/network\/(agent|transport|proxy-agent|forward)\.ts$/,
  fastify: /^src\/http\//,
  'prom-client': /^src\/observe\/metric(s|-families)\.ts$/,
  pino: /^src\/observe\/log\.ts$/,
  jose: /^src\/(core\/workload-jwt\.ts|doctor\/probes\/issuer\.ts|dev\/.*)$/,
};

const IMPURE = ['Date.now', 'new Date(', 'Math.random', 'setTimeout', 'process.', 'async ', 'await ', 'node:'];

test('each layer imports only what it is allowed to', () => {
  for (const { who, may, types, why } of LAYERS) {
    const files = FILES.filter((file) => who.test(file));
    assert.ok(files.length > 0, `${who} names no file any more`);
    for (const { from, target, typeOnly } of files.flatMap(importsOf)) {
      const own = dirname(from) === dirname(target) && dirname(from) !== 'src';
      const ok = own || may.test(target) || (typeOnly && types?.test(target) === true);
      assert.ok(ok, `${from} imports ${target}: ${why}`);
    }
  }
});

test('each package is imported in one place', () => {
  for (const [name, door] of Object.entries(DOORS)) {
    assert.ok(
      FILES.some((file) => door.test(file)),
      `${door} names no file any more`,
    );
    for (const { from, target } of FILES.flatMap(importsOf))
      assert.ok(
        (target !== name && !target.startsWith(`${name}/`)) || door.test(from),
        `${from} imports ${name}, which only ${door} may`,
      );
  }
});

test('a folder of src/ imports only from folders of its level or below', () => {
  const levelOf = (file: string) => ROOMS.findIndex((rooms) => rooms.some((room) => file.startsWith(`src/${room}/`)));
  for (const { from, target } of FILES.flatMap(importsOf)) {
    if (levelOf(from) < 0 || !target.startsWith('src/')) continue;
    const isBelow = levelOf(target) >= 0 && levelOf(target) <= levelOf(from);
    assert.ok(isBelow || from.startsWith('src/commands/'), `${from} imports ${target}, which is above it`);
  }
  assert.deepEqual(
    [...new Set(FILES.filter((file) => levelOf(file) < 0).map(dirname))],
    ['src'],
    'every folder has a level',
  );
  const top = FILES.filter((file) => dirname(file) === 'src');
  assert.ok(top.length <= MOST_FILES_AT_THE_TOP, `${top.length} files at the top of src/`);
});

test('the core, the diagnosis and the plan are pure: no clock, no randomness, no IO', () => {
  const pure = /^src\/(core|doctor\/diagnose)\/|^src\/setup\/(plan|diff|text|trust|vault-admin)\.ts$/;
  for (const file of FILES.filter((one) => pure.test(one))) {
    for (const word of IMPURE)
      assert.ok(!codeOf(file).includes(word), `${file} has "${word}": pass in time and randomness`);
  }
});

test('only the entry files use the process, and no file imports them', () => {
  for (const file of FILES.filter((one) => !ENTRIES.includes(one))) {
    assert.ok(!/process\.(env|argv|exit|on\(|stdout|stderr)/.test(codeOf(file)), `${file} uses the process`);
    assert.ok(
      importsOf(file).every(({ target }) => !ENTRIES.includes(target)),
      `${file} imports an entry`,
    );
  }
});

test('only deadlines, HTTP timeouts and commands set timers', () => {
  const allowed =
    /^src\/(main|healthcheck|files\/deadline|network\/forward|proxy\/(server|body)|http\/(limits|token-api)|commands\/(wait|status|dev|ask-daemon|command)|observe\/log)\.ts$/;
  for (const file of FILES)
    assert.ok(
      allowed.test(file) || !/setTimeout|setInterval|AbortSignal\.timeout/.test(codeOf(file)),
      `${file} has a timer`,
    );
});

test("files are read only by small-file.ts, which FIFOs, devices, huge files and hanging mounts can't block", () => {
  // one reads a file of /proc, the other one an open file
  const allowed = /^src\/(http\/connections|sinks\/file)\.ts$/;
  for (const file of FILES)
    assert.ok(
      allowed.test(file) || !/readFile|createReadStream/.test(codeOf(file)),
      `${file} reads a file without src/files/small-file.ts`,
    );
});

test('the health check imports only node:net', () => {
  assert.deepEqual(
    importsOf('src/healthcheck.ts').map(({ target }) => target),
    ['node:net'],
    'its memory and CPU time count against the sidecar',
  );
});

test('imports have no cycle', () => {
  const done = new Set<string>();
  const walk = (file: string, path: readonly string[]): void => {
    assert.ok(!path.includes(file), `a cycle: ${[...path, file].join(' -> ')}`);
    if (done.has(file)) return;
    for (const { target, typeOnly } of importsOf(file))
      if (!typeOnly && existsSync(target) && target.endsWith('.ts')) walk(target, [...path, file]);
    done.add(file);
  };
  for (const file of FILES) walk(file, []);
});

test('files and functions are short, and a file starts with a comment on its content', () => {
  for (const file of FILES) {
    const lines = textOf(file).split('\n');
    assert.ok(lines.length <= LONGEST_FILE, `${file} has ${lines.length} lines`);
    assert.match(textOf(file), /^(#!.*\n)?\/\/ /, `${file} doesn't start with a comment`);
    let start = 0;
    for (const [index, line] of lines.entries()) {
      if (/^(export )?(async )?function /.test(line)) start = index;
      if (line === '}')
        assert.ok(
          index - start <= LONGEST_FUNCTION || !/function/.test(lines[start] ?? ''),
          `${file}:${start + 1} is longer than ${LONGEST_FUNCTION} lines`,
        );
    }
  }
});

test("banned constructs and file names don't appear", () => {
  for (const file of FILES) {
    assert.ok(
      !/\b(enum|abstract|namespace) \w+ ?\{|: any\b|<any>|EventEmitter/.test(codeOf(file)),
      `${file} has a banned construct`,
    );
    assert.ok(!/(utils?|helpers?|manager|index)\.ts$/.test(file), `${file}: use a name of the domain`);
  }
});

// docs/errors.md is generated from them: test/docs.test.ts
test('every error has a title without a full stop, and a hint', () => {
  for (const [code, { title, hint }] of Object.entries({ ...ERRORS, ...DIAGNOSES })) {
    assert.match(title, /[^.]$/, code);
    assert.ok(hint.length > 10, code);
  }
});
