// npm run build:standalone: builds dist/vault-token-sidecar-<version>-linux-<arch>.tar.gz: the program in one file with
// Node, for the architecture of this machine, and what systemd needs. Two builds differ in V8's code cache, which saves a
// ninth of the start and 11 MiB of memory; everything else is reproducible.

import { execFileSync } from 'node:child_process';
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundle } from '../../build.ts';
import packageJson from '../../package.json' with { type: 'json' };
import { noticesOf } from '../image/notices.ts';
import sea from './sea.json' with { type: 'json' };

const ROOT = join(import.meta.dirname, '../..');

/** @returns the path of the archive */
async function buildStandalone(): Promise<string> {
  const name = `vault-token-sidecar-${packageJson.version}-linux-${process.arch}`;
  const work = mkdtempSync(join(tmpdir(), 'standalone-'));
  const tree = join(work, name);
  mkdirSync(join(tree, 'systemd'), { recursive: true });
  try {
    const { outputFiles, metafile } = await bundle({
      entryPoints: { program: join(import.meta.dirname, 'entry.ts') },
      // the program has no files of its own to import
      splitting: false,
      sourcemap: false,
    });
    for (const { contents } of outputFiles) writeFileSync(join(work, 'program.mjs'), contents);
    // V8 accepts its code cache only under the same flags
    execFileSync(process.execPath, [...sea.execArgv, '--build-sea', join(import.meta.dirname, 'sea.json')], {
      cwd: work,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    renameSync(join(work, sea.output), join(tree, sea.output));
    cpSync(join(ROOT, 'LICENSE'), join(tree, 'LICENSE'));
    writeFileSync(join(tree, 'THIRD-PARTY-NOTICES.txt'), `${noticesOf(metafile)}${nodeLicence()}`);
    for (const file of globSync('vault-token-sidecar*', { cwd: join(ROOT, 'deploy/systemd') }))
      cpSync(join(ROOT, 'deploy/systemd', file), join(tree, 'systemd', file));
    cpSync(join(ROOT, 'deploy/systemd/app.json'), join(tree, 'systemd/app.json'));
    return pack(work, name);
  } finally {
    rmSync(work, { recursive: true });
  }
}

/** Node's own licence, with those of its parts. The npm package of the project's Node has it. */
function nodeLicence(): string {
  const require = createRequire(createRequire(import.meta.url).resolve('node/package.json'));
  const directory = join(require.resolve(`node-linux-${process.arch}/package.json`), '..');
  return `\n${'-'.repeat(80)}\n\nNode.js ${process.version}\n\n${readFileSync(join(directory, 'LICENSE'), 'utf8')}`;
}

function pack(work: string, name: string): string {
  const archive = join(ROOT, 'dist', `${name}.tar.gz`);
  const mtime = `--mtime=@${process.env['SOURCE_DATE_EPOCH'] ?? 0}`;
  const owner = ['--owner=0', '--group=0', '--numeric-owner', '--mode=u=rwX,go=rX'];
  mkdirSync(join(ROOT, 'dist'), { recursive: true });
  execFileSync('tar', ['--sort=name', mtime, ...owner, '--use-compress-program=gzip --no-name', '-cf', archive, name], {
    cwd: work,
  });
  return archive;
}

if (import.meta.main) console.log(await buildStandalone());
