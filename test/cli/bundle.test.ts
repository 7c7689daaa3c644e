// The bundle: each part loads, and each dynamic import finds the exports that it uses.

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { basename, dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { bundle } from '../../build.ts';
import { NODE_FLAGS } from '../support/node-flags.ts';
import { runToEnd, sidecarEntry } from '../support/program.ts';

const built = bundle();

interface DynamicImport {
  readonly file: string;
  readonly specifier: string;
  readonly names: readonly string[];
}

/** The dynamic imports of a source file, with the names that it uses: `const { a, b } = ...` or `x.a`. */
function dynamicImportsOf(file: string): DynamicImport[] {
  const text = readFileSync(file, 'utf8');
  const found = text.matchAll(/(?:const (?:\{ ([^}]+) \}|(\w+)) = await )?import\('([^']+)'\)/g);
  return [...found].map(([, taken, whole, specifier = '']) => {
    const members = whole === undefined ? [] : [...text.matchAll(new RegExp(`\\b${whole}\\.(\\w+)\\(`, 'g'))];
    const names = taken?.split(', ') ?? members.map(([, name = '']) => name);
    return { file, specifier, names: names.length > 0 ? names : ['command'] };
  });
}

test("no part imports node:http, which would load Node's own undici", async () => {
  const { outputFiles } = await built;
  const importing = outputFiles
    .filter(({ path, text }) => path.endsWith('.mjs') && /\bfrom ?"(?:node:)?http"/.test(text))
    .map(({ path }) => basename(path));
  // the demo doesn't count
  assert.deepEqual(
    importing.map((name) => name.replace(/-.*/, '')),
    ['dev'],
  );
});

test("each dynamic import finds its names in the exports of the bundle's part (K6)", async () => {
  const { metafile } = await built;
  const outputs = Object.values(metafile.outputs);
  const imports = globSync('src/**/*.ts').flatMap(dynamicImportsOf);
  assert.ok(imports.length > 15, 'the imports are found');
  for (const { file, specifier, names } of imports.filter((one) => !isBuiltin(one.specifier))) {
    const resolved = metafile.inputs[file]?.imports.find(
      ({ kind, original, path }) =>
        kind === 'dynamic-import' && (original === specifier || path === normalize(join(dirname(file), specifier))),
    );
    const part = outputs.find(({ entryPoint }) => entryPoint !== undefined && entryPoint === resolved?.path);
    assert.ok(part, `${file}: import('${specifier}') has no part in the bundle`);
    for (const name of names)
      assert.ok(
        part.exports.includes(name),
        `${file}: import('${specifier}') has no export ${name} in the bundle, only ${part.exports.join(', ')}; a CommonJS package has only a default export`,
      );
  }
});

test('a start loads only the command that it runs, and no help or completion', async () => {
  const { outputs } = (await built).metafile;
  const reached = new Set<string>();
  const reach = (path: string): void => {
    if (reached.has(path)) return;
    reached.add(path);
    for (const { path: next, kind } of outputs[path]?.imports ?? []) if (kind === 'import-statement') reach(next);
  };
  reach('dist/vault-token-sidecar.mjs');
  const files = [...reached].flatMap((path) => Object.keys(outputs[path]?.inputs ?? {}));
  assert.ok(files.includes('src/cli/parse.ts'));
  const stray = /^src\/commands\/|^src\/cli\/(help|completion)|typebox/;
  assert.deepEqual(
    files.filter((file) => stray.test(file)),
    [],
  );
});

test("the bundle imports only Node's own modules", async () => {
  const { metafile } = await built;
  const external = Object.values(metafile.outputs).flatMap(({ imports }) => imports.filter((one) => one.external));
  assert.ok(external.length > 0);
  for (const { path } of external) assert.ok(isBuiltin(path), `${path} isn't in the bundle`);
});

test('every part of dist/ loads', async () => {
  const parts = globSync(join(dirname(sidecarEntry()), '*-*.mjs')).filter((file) => file !== sidecarEntry());
  assert.ok(parts.length > 20);
  const script = `for (const part of ${JSON.stringify(parts)}) await import(part);`;
  const { code, err } = await runToEnd([process.execPath, ...NODE_FLAGS, '--input-type=module', '-e', script]);
  assert.deepEqual([code, err], [0, '']);
});
