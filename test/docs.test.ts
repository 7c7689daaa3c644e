// The documentation: generated parts are current, links resolve, configs are valid, and the wording is plain.

import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { generated } from '../docs/generate.ts';
import { configFromEnvironment, parseConfig } from '../src/config/parse.ts';
import { EVENTS } from '../src/observe/events.ts';
import { cli } from './support/program.ts';
import { BLOCKS, PAGES, pageText, README_COMMANDS, readmeBlock } from './support/readme.ts';
import { openPeers, runDaemon } from './support/sidecar.ts';
import { temporaryDirectory } from './support/temporary.ts';

const REPOSITORY = 'https://git.example.com/vault-token-sidecar';

/** Phrases to avoid, since each has a plain equivalent. */
const HARD_WORDS = [
  'told of',
  'is told',
  'anew',
  'to the letter',
  'for ever',
  'blanks',
  'heeds',
  'whoever',
  'lest',
  "needn't be",
  'and no other',
  'it may be that',
  'by itself',
];

test('the README has at most 200 lines and 12 kB', () => {
  const text = pageText('README.md');
  assert.ok(text.split('\n').length <= 200);
  assert.ok(Buffer.byteLength(text) <= 12_000);
});

test('generated parts are current ("npm run docs" updates them)', () => {
  for (const [file, text] of generated()) assert.equal(readFileSync(file, 'utf8'), text, file);
});

test('the example config refers to the schema next to it', () => {
  const { $schema } = JSON.parse(readFileSync('config.example.json', 'utf8'));
  assert.equal($schema, './config.schema.json');
});

test('links lead to existing files and headings', () => {
  for (const page of [...PAGES, 'src/README.md']) {
    for (const link of linksOf(page)) {
      if (/^https?:/.test(link)) continue;
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? page : normalize(join(dirname(page), path));
      assert.ok(existsSync(target), `${page}: ${link}`);
      if (anchor !== undefined) assert.ok(anchorsOf(target).includes(anchor), `${page}: ${link}`);
    }
  }
});

test('links from other files lead to existing pages and headings', () => {
  const files = ['src/**/*.ts', 'deploy/**/*.{yaml,json,service,txt,tpl,md}', '.github/**/*', 'Dockerfile'];
  for (const file of globSync(files, { exclude: (name) => name === 'node_modules' })) {
    if (!/\.\w+$|Dockerfile$/.test(file)) continue;
    const text = readFileSync(file, 'utf8');
    for (const [link, page = '', anchor] of text.matchAll(
      new RegExp(`${REPOSITORY}/blob/main/([\\w./-]+\\.md)(?:#([\\w-]+))?`, 'g'),
    )) {
      assert.ok(existsSync(page), `${file}: ${link}`);
      if (anchor !== undefined) assert.ok(anchorsOf(page).includes(anchor), `${file}: ${link}`);
    }
  }
});

test('an index links to every page', () => {
  const linked = ['README.md', 'docs/README.md'].flatMap((page) =>
    linksOf(page).map((link) => normalize(join(dirname(page), link.split('#')[0] ?? ''))),
  );
  for (const page of PAGES.filter((one) => one !== 'README.md'))
    assert.ok(linked.includes(page), `no index links to ${page}`);
});

test('no page uses a phrase to avoid', () => {
  for (const page of PAGES) {
    const text = pageText(page).replaceAll(/\s+/g, ' ').toLowerCase();
    for (const words of HARD_WORDS) assert.doesNotMatch(text, new RegExp(`\\b${words}\\b`), page);
  }
});

test('lines of prose have at most 100 characters, and cells of tables less than 60', () => {
  for (const page of PAGES.filter((one) => one !== 'CHANGELOG.md')) {
    const prose = pageText(page).replaceAll(/^ *```[\s\S]*?^ *```$/gm, '');
    for (const line of prose.split('\n')) {
      if (!line.startsWith('|')) assert.ok(line.length <= 100 || !line.trim().includes(' '), `${page}: ${line}`);
      for (const cell of line.startsWith('|') && !line.startsWith('| -') ? line.split('|') : [])
        assert.ok(cell.trim().replaceAll(/\]\([^)]*\)/g, ']').length < 60, `${page}: ${cell.trim()}`);
    }
  }
});

test('the configs in the documentation are valid', () => {
  let count = 0;
  for (const { page, heading, text } of BLOCKS.filter(({ language }) => language === 'json')) {
    const value = JSON.parse(/^\s*\{/.test(text) ? text : `{${text}}`);
    const config = asConfig(value);
    if (config === undefined) continue;
    count += 1;
    assert.doesNotThrow(
      () => parseConfig(JSON.stringify(config), { fileName: 'config.json', env: {} }),
      `${page}, ${heading}`,
    );
  }
  assert.ok(count >= 8);
});

test('each documented variable sets its documented key', () => {
  const table = section(pageText('docs/configuration.md'), 'Without a config file');
  const rows = [...table.matchAll(/^\| `(\w+)` +\| `([^`]+)`/gm)].map(
    ([, name = '', key = '']) => [name, key] as const,
  );
  const values: Readonly<Record<string, string>> = {
    VAULT_ADDR: 'https://vault.example.com:8200',
    VTS_ISSUER: 'https://k8s-prod.oidc.pub',
    VTS_TOKEN_MODE: '0640',
    VTS_LOG_LEVEL: 'debug',
    VTS_LOG_FORMAT: 'json',
    VTS_API_LISTEN: '127.0.0.1:1',
    VTS_OPS_LISTEN: '127.0.0.1:2',
    VTS_PROXY_LISTEN: 'unix:/run/app/vault.sock',
    VTS_START_JITTER: '60s',
    VTS_ROLE: 'app',
    VTS_MOUNT: 'jwt',
    VAULT_TLS_SERVER_NAME: 'vault',
  };
  const env = Object.fromEntries(rows.map(([name]) => [name, values[name] ?? `/${name}/file`]));
  const origins = configFromEnvironment(env).origins();
  const found = origins.flatMap(({ key, origin }) => {
    const [, name] = /^environment (\w+)$/.exec(origin) ?? [];
    return name === undefined ? [] : [`${name} ${key}`];
  });
  assert.deepEqual(found.sort(), rows.map((row) => row.join(' ')).sort());
});

test('the documented GitLab job is the one that init prints', async (t) => {
  const command = README_COMMANDS.find((one) => one.includes('init gitlab')) ?? '';
  const { code, out, err } = await cli(command.split(' ').slice(1), { cwd: await temporaryDirectory(t) });
  assert.equal(code, 0, err);
  const job = readmeBlock('docs/vault-setup.md', 'GitLab CI', 'yaml').replaceAll(/^/gm, '# ').trim();
  assert.ok(out.includes(job.replace(/\n#$/, '')), out);
});

test('the documented metrics and events are those of the program', async (t) => {
  const page = pageText('docs/observability.md');
  const peers = await openPeers(t);
  const { daemon } = await runDaemon(t, peers.config());
  const metrics = await (await fetch(`${daemon.ops}/metrics`)).text();
  const names = [...metrics.matchAll(/^# HELP vault_token_sidecar_(\w+)/gm)].map(([, name]) => name);
  assert.deepEqual(namesIn(section(page, 'Metrics')), names.sort());
  const source = globSync('src/**/*.ts', { exclude: ['src/observe/events.ts'] })
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n');
  for (const [event, { members }] of Object.entries(EVENTS)) {
    assert.ok(source.includes(`'${event}'`), `no line has the event ${event}`);
    for (const member of members)
      assert.ok(new RegExp(`\\b${member}\\b`).test(source), `no line has the member ${member}`);
  }
});

const section = (page: string, heading: string): string =>
  new RegExp(`^## ${heading}$([\\s\\S]*?)(?=^## )`, 'm').exec(page)?.[1] ?? '';

/** The names in the first column of a table. */
const namesIn = (text: string): string[] =>
  [...text.matchAll(/^\| (`[^|]*)\|/gm)].flatMap(([, cell = '']) => cell.match(/\w+/g) ?? []).sort();

const linksOf = (page: string): string[] =>
  [
    ...pageText(page)
      .replaceAll(/^ *```[\s\S]*?^ *```$/gm, '')
      .matchAll(/\]\(([^)\s]+)\)/g),
  ].map(([, link = '']) => link);

/** The anchors of a page's headings, as GitHub generates them. */
const anchorsOf = (page: string): string[] =>
  [
    ...readFileSync(page, 'utf8')
      .replaceAll(/^ *```[\s\S]*?^ *```$/gm, '')
      .matchAll(/^#+ (.+)$/gm),
  ].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );

/** Completes a part of a config to a whole one; undefined for other JSON. */
function asConfig(value: Record<string, unknown>): Record<string, unknown> | undefined {
  if ('exchanges' in value) return value;
  const app = {
    source: { file: { path: '/jwt/token' } },
    login: { role: 'app' },
    expect: { issuer: 'https://k8s-prod.oidc.pub', audience: 'vault', subject: 'app' },
    sinks: [{ file: { path: '/vault/token' } }],
  };
  const vault = { address: 'https://vault.example.com:8200' };
  if ('source' in value || 'sinks' in value || 'setup' in value || 'proxy' in value)
    return {
      vault,
      exchanges: { app: 'sinks' in value ? { ...app, sinks: [] } : app, other: { ...app, sinks: [], ...value } },
    };
  return 'api' in value ? { vault, exchanges: { app }, ...value } : undefined;
}
