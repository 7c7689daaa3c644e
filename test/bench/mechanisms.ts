// What each mechanism that exists only for a number gains: the program is built and started with and without it, in turns.
// Long: twelve starts of each variant.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Plugin } from 'esbuild';
import { bundle } from '../../build.ts';
import { NODE_FLAGS } from '../support/node-flags.ts';
import { memoryOf } from '../support/proc.ts';
import { ownRow, quantile, type Row, untilChanged } from './figures.ts';
import { end, exchangeOf, type Peers, startProgram, writeConfig } from './peers.ts';

const RUNS = 12;
const SETTLE_MS = 1000;

interface Variant {
  readonly name: string;
  readonly flags?: readonly string[];
  /** replaces a text in a source file */
  readonly edit?: readonly [file: string, from: string | RegExp, to: string];
  readonly keepsHttp2?: boolean;
}

const flagsWithout = (pattern: RegExp): readonly string[] => NODE_FLAGS.filter((flag) => !pattern.test(flag));

const VARIANTS: readonly Variant[] = [
  { name: 'as shipped' },
  { name: 'with node:http2', keepsHttp2: true },
  {
    name: "undici's front door",
    edit: [
      'src/network/transport.ts',
      /import request from '[^']+';\nimport Agent from '[^']+';/,
      "import { Agent } from 'undici';\nconst request = { call: (dispatcher, options) => dispatcher.request(options) };",
    ],
  },
  { name: 'no head start of the first login', edit: ['src/daemon.ts', 'HEAD_START_MS = 1000', 'HEAD_START_MS = 0'] },
  { name: 'with optimizing compilers', flags: flagsWithout(/^--no-|wasm/) },
  { name: "with Node's own heap sizes", flags: flagsWithout(/-space-size/) },
];

export async function mechanisms({ directory, jwtFile, vault }: Peers): Promise<Row[]> {
  const tokenFile = join(directory, 'mechanism-token');
  const exchanges = { app: exchangeOf(jwtFile, tokenFile) };
  const config = await writeConfig(directory, 'mechanisms', { address: vault.url, exchanges });
  const tried = [];
  for (const variant of VARIANTS)
    tried.push({ variant, entry: await build(directory, variant), start: [] as number[], memory: [] as number[] });
  for (let run = 0; run < RUNS; run += 1) {
    for (const { variant, entry, start, memory } of tried) {
      await rm(tokenFile, { force: true });
      const startedAt = performance.now();
      const child = startProgram([...(variant.flags ?? NODE_FLAGS), entry, 'run', '--config', config]);
      await untilChanged(tokenFile, undefined);
      start.push(performance.now() - startedAt);
      await pause(SETTLE_MS);
      memory.push(memoryOf(child.pid ?? 0).residentMiB);
      await end(child);
    }
  }
  const [shipped] = tried;
  if (shipped === undefined) throw new Error('there is no variant');
  return tried.map(({ variant, start, memory }) => {
    const by = (samples: readonly number[], base: readonly number[]) => {
      const difference = quantile(samples, 0.5) - quantile(base, 0.5);
      return `${difference < 0 ? '' : '+'}${difference.toFixed(0)}`;
    };
    const own = `${quantile(start, 0.5).toFixed(0)} ms (${by(start, shipped.start)})`;
    return ownRow(variant.name, `${own}, ${quantile(memory, 0.5).toFixed(0)} MiB (${by(memory, shipped.memory)})`);
  });
}

/** Builds the variant. @returns the path of its entry */
async function build(directory: string, { name, edit, keepsHttp2 = false }: Variant): Promise<string> {
  const place = join(directory, `dist-${name.replaceAll(/\W+/g, '-')}`);
  mkdirSync(place);
  const { outputFiles } = await bundle({
    ...(keepsHttp2 ? { alias: {} } : {}),
    ...(edit === undefined ? {} : { plugins: [editing(edit)] }),
  });
  for (const { path, contents } of outputFiles) writeFileSync(join(place, basename(path)), contents);
  return join(place, 'vault-token-sidecar.mjs');
}

function editing([file, from, to]: NonNullable<Variant['edit']>): Plugin {
  return {
    name: 'edit',
    setup(esbuild) {
      esbuild.onLoad({ filter: new RegExp(`${file.replaceAll('.', '\\.')}$`) }, ({ path }) => {
        const text = readFileSync(path, 'utf8');
        const contents = text.replace(from, to);
        if (contents === text) throw new Error(`${file} has no ${from}`);
        return { contents, loader: 'ts' };
      });
    },
  };
}
