// Any text or JSON as a config gives settings, or a ConfigError whose lines quote no value; nothing else is thrown. Any
// text as a duration is parsed exactly or refused.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseDuration } from '../../src/config/duration.ts';
import { configFromEnvironment, type ParsedConfig, parseConfig } from '../../src/config/parse.ts';
import { ConfigError } from '../../src/config/problem.ts';

const CANARY = 'hvs.CAESIcanarycanary';
const EXAMPLE = readFileSync('config.example.json', 'utf8');
/** The paths of all values in the example: ['exchanges', 'app', 'login', 'role'], ... */
const PLACES = placesIn(JSON.parse(EXAMPLE));

function placesIn(value: unknown, at: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [at];
  return [at, ...Object.entries(value).flatMap(([key, one]) => placesIn(one, [...at, key]))];
}

/** The result of the parser, or the lines of its error. */
function outcomeOf(parse: () => ParsedConfig): ParsedConfig | readonly string[] {
  try {
    return parse();
  } catch (error) {
    assert.ok(error instanceof ConfigError, `${error}`);
    assert.ok(error.lines.length > 0);
    for (const line of error.lines) {
      assert.ok(!line.includes(CANARY), line);
      assert.match(line, /^\P{Cc}*$/u);
      assert.ok(line.length < 1000, line);
    }
    return error.lines;
  }
}

const parse = (text: string) => outcomeOf(() => parseConfig(text, { fileName: 'config.json', env: {} }));

/** names of inherited properties */
const inherited = fc.constantFrom('constructor', '__proto__', 'toString', 'valueOf', 'hasOwnProperty');
const value = fc.oneof(
  fc.constantFrom(CANARY, `https://user:${CANARY}@vault:8200`, `/etc/${CANARY}`, `127.0.0.1:${CANARY}`, `${CANARY}\n`),
  fc.jsonValue(),
  inherited,
  fc.constantFrom<unknown>(0, -1, 1e300, '', '/', '0s', '5 minutes', [], {}, null, { [CANARY.slice(4)]: CANARY }),
);
const change = fc.record({
  place: fc.constantFrom(...PLACES),
  kind: fc.constantFrom('set', 'drop', 'add'),
  key: fc.oneof(inherited, fc.string()),
  value,
});

function changed(
  config: unknown,
  { place, kind, key, value: to }: { place: readonly string[]; kind: string; key: string; value: unknown },
): unknown {
  const [first, ...rest] = place;
  if (first === undefined) {
    if (kind !== 'add' || typeof config !== 'object' || config === null) return to;
    // as in JSON: an own property, whatever its name
    return Array.isArray(config) ? [...config, to] : Object.fromEntries([...Object.entries(config), [key, to]]);
  }
  if (typeof config !== 'object' || config === null) return config;
  if (Array.isArray(config))
    return config.map((one, index) =>
      String(index) === first ? changed(one, { place: rest, kind, key, value: to }) : one,
    );
  const entries = Object.entries(config).flatMap(([name, one]) => {
    if (name !== first) return [[name, one] as const];
    if (kind === 'drop' && rest.length === 0) return [];
    return [[name, changed(one, { place: rest, kind, key, value: to })] as const];
  });
  return Object.fromEntries(entries);
}

test('parses or refuses the example with keys changed, dropped or added (B1, B2)', () => {
  let taken = 0;
  const property = fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
    const config = changes.reduce<unknown>(changed, JSON.parse(EXAMPLE));
    if ('settings' in parse(JSON.stringify(config))) taken += 1;
  });
  fc.assert(property, { numRuns: 700 });
  assert.ok(taken > 20, `some configs must be valid: ${taken} were`);
});

test('parses or refuses any JSON, any text, and the mutated text of the example (B1, B2)', () => {
  const piece = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 5 }),
    fc.constantFrom('{', '}', '[', ']', '"', ',', ':', '\\', '/*', '//', '\uFEFF', 'NaN', '1e999', '\u0000', '\ud800'),
  );
  const cut = fc
    .tuple(fc.nat(EXAMPLE.length), fc.nat(20), piece)
    .map(([at, length, text]) => EXAMPLE.slice(0, at) + text + EXAMPLE.slice(at + length));
  fc.assert(
    fc.property(fc.oneof(cut, fc.json(), fc.string({ unit: 'binary' })), (text) => void parse(text)),
    { numRuns: 500 },
  );
});

test('refuses deeply nested JSON (B1)', () => {
  const opened = ['['.repeat(200_000), '{"a":'.repeat(100_000), '[1,'.repeat(200_000), '{"x":1,"a":'.repeat(100_000)];
  for (const text of [...opened, `${'['.repeat(1e5)}${']'.repeat(1e5)}`])
    assert.deepEqual(parse(text), ['config.json:1:1: is nested too deeply']);
});

test('reports a key with control characters in one line without them (B2)', () => {
  const lines = parse(JSON.stringify({ 'a\n\u001b[2Jb\u009b': 1 }));
  assert.ok(Array.isArray(lines) && lines.some((line) => line.endsWith('b\uFFFD"]: unknown key')), `${lines}`);
});

test('refuses the name of an inherited property as the name of an exchange (B2)', () => {
  const app = { login: { role: 'app' } };
  for (const exchange of ['constructor', 'toString', 'valueOf', '__proto__', 'hasOwnProperty']) {
    const config = {
      vault: { address: 'https://vault' },
      exchanges: { app: { ...app, source: { vault_identity: { role: 'r', exchange } } } },
    };
    assert.deepEqual(parse(JSON.stringify(config)), [
      'config.json: exchanges.app.source.vault_identity.exchange: must name another exchange whose source is not vault_identity',
    ]);
  }
});

test('any environment gives settings, or an error that quotes no value', () => {
  const names = [
    'VAULT_ADDR',
    'BAO_ADDR',
    'VAULT_NAMESPACE',
    'VAULT_CACERT',
    'VAULT_CLIENT_KEY',
    'VTS_JWT_FILE',
    'VTS_ROLE',
    'VTS_TOKEN_FILE',
    'VTS_TOKEN_MODE',
    'VTS_MOUNT',
    'VTS_ISSUER',
    'VTS_AUDIENCE',
    'VTS_SUBJECT',
    'VTS_START_JITTER',
    'VTS_API_LISTEN',
    'VTS_PROXY_LISTEN',
    'VTS_LOG_LEVEL',
  ];
  const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom(CANARY, 'https://v', '/a/b', '127.0.0.1:1'));
  const env = fc.dictionary(fc.constantFrom(...names), text);
  fc.assert(
    fc.property(env, (given) => void outcomeOf(() => configFromEnvironment(given))),
    { numRuns: 1000 },
  );
});

const TEN_YEARS_MS = 10 * 365 * 86_400_000;
const UNITS = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const;

/** Formats a duration as Go does, such as 1h2m3s4ms. */
function written(ms: number): string {
  let left = ms;
  return Object.entries(UNITS)
    .map(([unit, size]) => {
      const count = Math.floor(left / size);
      left -= count * size;
      return count === 0 ? '' : `${count}${unit}`;
    })
    .join('');
}

test('parses a formatted duration back to the millisecond (B4)', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: TEN_YEARS_MS }), (ms) => assert.equal(parseDuration(written(ms)), ms)),
    { numRuns: 1000 },
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: TEN_YEARS_MS / 1000 }), (s) => assert.equal(parseDuration(s), s * 1000)),
  );
});

test('any text or number as a duration is positive and at most ten years, or refused without being quoted (B4)', () => {
  const number = fc.oneof(fc.double(), fc.integer(), fc.bigInt().map(Number));
  const piece = fc.oneof(
    number.map(String),
    fc.constantFrom('h', 'm', 's', 'ms', '.', '-', '+', ' ', 'e9', '\n', 'µs', '٣'),
  );
  const text = fc.oneof(
    fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join('')),
    fc.string({ unit: 'binary' }),
  );
  fc.assert(
    fc.property(fc.oneof(text, number), (value) => {
      const outcome = parseDuration(value);
      if (typeof outcome === 'number') assert.ok(outcome > 0 && outcome <= TEN_YEARS_MS, String(outcome));
      else assert.match(outcome.invalid, /^must be /);
    }),
    { numRuns: 800 },
  );
});

test('parses a hundred thousand characters within half a second (B4)', () => {
  const before = process.cpuUsage();
  for (const text of ['1'.repeat(1e5), '1m'.repeat(5e4), `${'1.1ms'.repeat(2e4)}x`, `${'1m1'.repeat(3e4)}`])
    parseDuration(text);
  const { user, system } = process.cpuUsage(before);
  assert.ok(user + system < 500_000, `${user + system} us`);
});
