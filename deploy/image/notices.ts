// node notices.ts METAFILE: prints the licences of all packages in esbuild's bundle. A package without a licence text is an
// error. licences/<package>.txt supplies texts that a package doesn't ship: its own licence, or that of vendored code.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Metafile {
  readonly outputs: Readonly<Record<string, { readonly inputs: Readonly<Record<string, unknown>> }>>;
}

const OURS = join(import.meta.dirname, 'licences');

/**
 * Returns a section for each package, sorted by name and version.
 * @throws Error that names each package without a licence text
 */
export function noticesOf({ outputs }: Metafile): string {
  const inputs = Object.values(outputs).flatMap((output) => Object.keys(output.inputs));
  const directories = new Set(inputs.flatMap((input) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? []));
  const sections = new Map<string, string>();
  const without: string[] = [];
  for (const directory of directories) {
    const { name, version, license } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
    const shipped = readdirSync(directory).sort();
    const paths = [
      ...shipped.filter((file) => /^(licen[cs]e|copying)/i.test(file)).map((file) => join(directory, file)),
      ...[join(OURS, `${name.replace('/', '+')}.txt`)].filter((path) => existsSync(path)),
    ];
    if (paths.length === 0) without.push(`${name} ${version}`);
    paths.push(...shipped.filter((file) => /^notice/i.test(file)).map((file) => join(directory, file)));
    const texts = paths.map((path) => readFileSync(path, 'utf8').trim());
    sections.set(`${name} ${version}`, [`${name} ${version} (${license})`, ...texts].join('\n\n'));
  }
  if (without.length > 0) throw new Error(`bundled without a licence text: ${without.join(', ')}`);
  const rule = `\n\n${'-'.repeat(80)}\n\n`;
  return `${[...sections]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, text]) => text)
    .join(rule)}\n`;
}

const [metafile] = process.argv.slice(2);
if (import.meta.main && metafile !== undefined)
  process.stdout.write(noticesOf(JSON.parse(readFileSync(metafile, 'utf8'))));
