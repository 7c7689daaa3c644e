// npm run build: bundles src/ into dist/ and prints the sizes. It may run while tests use dist/, as it replaces files atomically and
// the names of chunks contain a hash. --metafile=PATH writes esbuild's metafile; --log-level=warning prints no sizes.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, globSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { type BuildOptions, build, type Metafile, type OutputFile } from 'esbuild';

const ROOT = import.meta.dirname;
const DIST = join(ROOT, 'dist');
/** Holds the digest of the sources that dist/ was built from. */
const STAMP = join(DIST, 'sources.sha256');
const SMALLEST_SHOWN_KB = 10;

/** Reports whether dist/ was built from the current sources. */
export function isBuilt(): boolean {
  try {
    return readFileSync(STAMP, 'utf8') === sourcesDigest();
  } catch {
    return false;
  }
}

function sourcesDigest(): string {
  const hash = createHash('sha256');
  for (const file of [
    ...globSync('src/**/*.ts', { cwd: ROOT }).sort(),
    'build.ts',
    'package.json',
    'package-lock.json',
  ])
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(ROOT, file)))
      .update('\0');
  return hash.digest('hex');
}

type Changes = Pick<BuildOptions, 'alias' | 'plugins' | 'entryPoints' | 'splitting' | 'sourcemap'>;

/** Bundles without writing anything. @param changes of the options, for benchmarks and the standalone program */
export const bundle = (changes: Changes = {}) =>
  build({
    absWorkingDir: ROOT,
    entryPoints: { 'vault-token-sidecar': 'src/main.ts', healthcheck: 'src/healthcheck.ts' },
    outdir: 'dist',
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    mainFields: ['module', 'main'],
    alias: { 'node:http2': './src/host/absent-http2.ts' },
    define: { BUILD_COMMIT: JSON.stringify(commit()) },
    // The CommonJS dependencies call require.
    banner: { js: "import{createRequire}from'node:module';const require=createRequire(import.meta.url);" },
    minify: true,
    sourcemap: true,
    legalComments: 'none',
    metafile: true,
    write: false,
    logLevel: 'warning',
    ...changes,
  });

/** Returns SOURCE_COMMIT, or the commit of the checkout, with "-dirty" if it has changes. Archives of the source have none. */
function commit(): string {
  const { SOURCE_COMMIT } = process.env;
  if (SOURCE_COMMIT) return SOURCE_COMMIT;
  const { status, stdout } = spawnSync('git', ['describe', '--always', '--dirty', '--abbrev=40', '--exclude=*'], {
    cwd: ROOT,
    encoding: 'utf8',
    // not the commit of a repository around an unpacked archive
    env: { ...process.env, GIT_CEILING_DIRECTORIES: dirname(ROOT) },
  });
  return status === 0 ? stdout.trim() : 'unknown';
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { metafile: { type: 'string' }, 'log-level': { type: 'string' } } });
  const digest = sourcesDigest();
  const { outputFiles, metafile } = await bundle();
  replaceFiles(outputFiles);
  replace(STAMP, digest);
  if (values.metafile !== undefined) writeFileSync(values.metafile, JSON.stringify(metafile));
  if (values['log-level'] === undefined) console.log(sizesOf(outputFiles, metafile));
}

function replaceFiles(files: readonly OutputFile[]): void {
  mkdirSync(DIST, { recursive: true });
  const names = new Set(files.map(({ path }) => basename(path)));
  const isEntry = ({ path }: OutputFile) => /^(vault-token-sidecar|healthcheck)\.mjs/.test(basename(path));
  // Write the entry points last, after the chunks that they load.
  for (const { path, contents } of [...files].sort((a, b) => Number(isEntry(a)) - Number(isEntry(b))))
    replace(path, contents);
  for (const name of readdirSync(DIST)) if (/\.mjs(\.map)?$/.test(name) && !names.has(name)) rmSync(join(DIST, name));
}

function replace(path: string, contents: string | Uint8Array): void {
  const unfinished = `${path}.${process.pid}.tmp`;
  writeFileSync(unfinished, contents);
  if (Buffer.from(contents.slice(0, 2)).toString() === '#!') chmodSync(unfinished, 0o755);
  renameSync(unfinished, path);
}

/** Renders the total size of the programs, and the share of each package. */
function sizesOf(files: readonly OutputFile[], { outputs }: Metafile): string {
  const programs = files.filter(({ path }) => path.endsWith('.mjs'));
  const sum = (sizes: readonly number[]) => sizes.reduce((total, one) => total + one, 0);
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(2)} MB`;
  const plain = sum(programs.map(({ contents }) => contents.length));
  const packed = sum(programs.map(({ contents }) => gzipSync(contents).length));
  const byPackage = new Map<string, number>();
  for (const [input, { bytesInOutput }] of Object.values(outputs).flatMap(({ inputs }) => Object.entries(inputs))) {
    const name = /^.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input)?.[1] ?? 'src';
    byPackage.set(name, (byPackage.get(name) ?? 0) + bytesInOutput);
  }
  const lines = [...byPackage]
    .map(([name, bytes]) => [name, Math.round(bytes / 1000)] as const)
    .filter(([, kilobytes]) => kilobytes >= SMALLEST_SHOWN_KB)
    .sort(([, a], [, b]) => b - a)
    .map(([name, kilobytes]) => `${String(kilobytes).padStart(8)} kB  ${name}`);
  return [`dist/: ${megabytes(plain)}, ${megabytes(packed)} compressed, of which`, ...lines].join('\n');
}

if (import.meta.main) await main();
