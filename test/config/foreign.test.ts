// Config files in other formats: one line says which, and what to do.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BASE, problemsOf } from '../support/configs.ts';

const JSON_TEXT = JSON.stringify(BASE, undefined, 2);
const SECRET = 'hvs.CAESIsecret';

/** [what, the text, the beginning of the line] */
const FILES: readonly (readonly [string, string, string])[] = [
  ['YAML', `vault:\n  address: ${SECRET}\n`, 'looks like YAML; the config is JSON: convert it'],
  ['YAML with a comment', `# ours\n\n---\nvault: {}\n`, 'looks like YAML'],
  ['YAML with a byte order mark', '\uFEFFvault:\n  address: a\n', 'looks like YAML'],
  ['a YAML list', `- vault: ${SECRET}\n`, 'looks like YAML'],
  ['YAML with Windows line ends', `vault:\r\n  address: a\r\n`, 'looks like YAML'],
  ['HCL of Vault Agent', `pid_file = "/run/${SECRET}"\n\nvault {\n}\n`, 'looks like HCL; the config is JSON: '],
  ['HCL with a block', `# ours\nauto_auth {\n  method "jwt" {\n}\n`, 'looks like HCL'],
  ['HCL with a labelled block', `listener "tcp" {\n}\n`, 'looks like HCL'],
  [
    'an environment file',
    `VAULT_TOKEN=${SECRET}\n`,
    'looks like a file with environment variables; the config is JSON: ',
  ],
  ['a sourced environment file', `export VAULT_ADDR="https://vault:8200"\n`, 'looks like a file with environment'],
  ['JSON with a comment', JSON_TEXT.replace('{', `{ // ${SECRET}`), 'is JSON with comments or trailing commas; '],
  ['JSON with a leading comment', `/* ours */ ${JSON_TEXT}`, 'is JSON with comments or trailing commas; '],
  ['JSON with a trailing comma', JSON_TEXT.replace(/\}$/, ',}'), 'is JSON with comments or trailing commas; '],
];

test('names the format of a file that is no JSON in one line, without its content (B1)', () => {
  for (const [what, text, line] of FILES) {
    const problems = problemsOf(text);
    assert.equal(problems.length, 1, `${what}: ${problems}`);
    assert.ok(problems[0]?.startsWith(`config.json: ${line}`), `${what}: ${problems}`);
    assert.doesNotMatch(String(problems), /secret|ours/, what);
  }
});

test('JSON with other mistakes is JSON: the line and column count', () => {
  for (const text of ['', '{"vault": }', '{"a": 1', '[1, 2', "{'vault': {}}", '{"a": 1}}', `{"a": ${'['.repeat(1e5)}`])
    for (const line of problemsOf(text)) assert.match(line, /^config\.json:\d+:\d+: (?:not valid JSON|is nested too)/);
});
