// Names of places on the internet: the owner hasn't chosen them, so all files use stand-ins that nobody can own. Somebody
// else could register a real name, and serve anything to our users. CONTRIBUTING.md lists the stand-ins.

import assert from 'node:assert/strict';
import { globSync, readFileSync, statSync } from 'node:fs';
import { test } from 'node:test';

const HERE = 'test/names.test.ts';
const FILES = globSync(['*', '{src,docs,deploy,examples,test}/**', '.github/**', '.ci/*'])
  .filter((file) => statSync(file).isFile() && file !== HERE && file !== 'package-lock.json')
  .map((file) => ({ file, text: readFileSync(file, 'utf8') }));

const naming = (pattern: RegExp, where = ''): readonly string[] =>
  FILES.filter(({ file, text }) => file.startsWith(where) && pattern.test(text))
    .map(({ file }) => file)
    .sort();

test('no file names a repository or a registry of an unknown owner', () => {
  assert.ok(FILES.length > 500);
  assert.deepEqual(naming(/oidc-pub\b/), []);
  assert.deepEqual(naming(/ghcr\.io\/(?!\$|owner\b|some-owner\b)/), []);
  assert.deepEqual(naming(/(?:github|gitlab)\.com\/(?!\$)[\w.-]+\/vault-token-sidecar/), []);
  for (const { file, text } of FILES)
    for (const [image, registry] of text.matchAll(
      /([a-z0-9][\w.-]*\.\w+(?::\d+)?)\/vault-token-sidecar[:@](?=[\w$@])/g,
    ))
      assert.match(registry ?? '', /^(registry\.example\.com|my-registry\.example)$/, `${file}: ${image}`);
});

test('each name stands in one place of the program and its packages', () => {
  assert.deepEqual(naming(/registry\.example\.com/, 'src/'), ['src/init/scenario.ts']);
  assert.deepEqual(naming(/maintainers@/, 'deploy/'), ['deploy/packages/changelog.yaml', 'deploy/packages/nfpm.yaml']);
  assert.deepEqual(naming(/ghcr\.io\/\$/, '.github/'), ['.github/workflows/release.yaml']);
});
