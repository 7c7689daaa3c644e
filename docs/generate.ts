// npm run docs: generates config.schema.json, docs/vault-token-sidecar.1, and the parts of pages between the markers <!-- generated: NAME --> and
// <!-- end of NAME -->. test/docs.test.ts fails if they are out of date.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GROUPS } from '../src/cli/commands.ts';
import { helpOf, overview } from '../src/cli/help.ts';
import { asJson } from '../src/commands/command.ts';
import { environmentConfig } from '../src/config/environment.ts';
import { keyOf } from '../src/config/problem.ts';
import { configJsonSchema } from '../src/config/schema.ts';
import { VAULT_VARIABLES, VTS_VARIABLES } from '../src/config/variables.ts';
import { type Area, ERRORS, EXIT_CODES } from '../src/core/errors.ts';
import { DIAGNOSES } from '../src/doctor/diagnose/codes.ts';
import { eventMembers, eventTable } from './log-events.ts';
import { manPage } from './man-page.ts';
import { table } from './table.ts';
import { wrapped } from './wrapped.ts';

const ROOT = join(import.meta.dirname, '..');

/** Returns the current content of each file with generated text. */
export function generated(): ReadonlyMap<string, string> {
  const schema = configJsonSchema();
  const parts: Readonly<Record<string, Readonly<Record<string, () => string>>>> = {
    'docs/configuration.md': { variables, configuration: () => configuration(schema as Schema) },
    'docs/cli.md': { commands },
    'docs/observability.md': { events: eventTable, members: eventMembers },
    'docs/errors.md': { errors: () => byExitCode(ERRORS), findings: () => codes(DIAGNOSES) },
  };
  const files = new Map([
    ['config.schema.json', `${asJson(schema)}\n`],
    ['docs/vault-token-sidecar.1', manPage(releaseDate())],
  ]);
  for (const [file, generators] of Object.entries(parts)) {
    let page = readFileSync(join(ROOT, file), 'utf8');
    for (const [name, generate] of Object.entries(generators)) page = filled(page, name, generate());
    files.set(file, page);
  }
  return files;
}

function filled(page: string, name: string, text: string): string {
  const [before, after] = [`<!-- generated: ${name} -->\n`, `<!-- end of ${name} -->\n`];
  const [from, to] = [page.indexOf(before), page.indexOf(after)];
  if (from < 0 || to < from) throw new Error(`the markers of ${name} are missing`);
  return `${page.slice(0, from + before.length)}\n${text.trim()}\n\n${page.slice(to)}`;
}

// the environment variables

function variables(): string {
  const ofVault = Object.entries(VAULT_VARIABLES).map(([name, variable]) => [`VAULT_${name}`, variable] as const);
  const required = environmentConfig({}, { needsSink: true }).missing.map(({ origin }) => origin);
  const rows = [...ofVault, ...Object.entries(VTS_VARIABLES)].map(([name, { pointer }]) => [
    `\`${name}\``,
    `\`${keyOf(pointer)}\``,
    required.includes(name) ? 'required' : '',
  ]);
  const isOptional = ([, , need]: readonly string[]) => need === '';
  return table([['variable', 'key', ''], ...rows.filter((row) => !isOptional(row)), ...rows.filter(isOptional)]);
}

// the reference of the config

interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly patternProperties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
}

const DURATION = ': a duration such as "90s" or "1h30m", or whole seconds';
const PATH = '; an absolute path';

function configuration({ properties = {} }: Schema): string {
  const { $schema, exchanges = {}, ...others } = properties;
  if ($schema === undefined) throw new Error('$schema is missing');
  const [exchange = {}] = Object.values(exchanges.patternProperties ?? {});
  const isFlat = ({ type, anyOf }: Schema) => type !== 'object' || anyOf !== undefined;
  const topLevel = Object.fromEntries(Object.entries(others).filter(([, member]) => isFlat(member)));
  const sections = [
    ['### Top level', keysOf('', { properties: topLevel }).join('\n')].join('\n\n'),
    section('vault', others['vault'] ?? {}),
  ];
  const { properties: members = {}, required = [] } = exchange;
  const isSection = (member: Schema) => member.properties !== undefined || member.items?.properties !== undefined;
  const flat = Object.entries(members).filter(([, member]) => !isSection(member));
  sections.push(
    section('exchanges.app', { properties: Object.fromEntries(flat), required }),
    ...Object.entries(members)
      .filter(([, member]) => isSection(member))
      .map(([name, member]) =>
        name === 'vault'
          ? `### \`exchanges.app.vault\`\n\n${wrapped(VAULT_OF_EXCHANGE, '')}`
          : section(`exchanges.app.${name}`, member, required.includes(name)),
      ),
  );
  for (const name of ['api', 'ops', 'log']) sections.push(section(name, others[name] ?? {}));
  return sections.join('\n\n');
}

const VAULT_OF_EXCHANGE =
  'The Vault of this exchange, with the same keys as `vault`. A key that is set here replaces the one in `vault`. ' +
  'With an `address` here, nothing is taken from `vault`: another Vault must not get its namespace or client certificate.';

function section(place: string, schema: Schema, isRequired = false): string {
  const { description } = schema;
  const words = [description === undefined ? '' : `${sentence(description)}`, isRequired ? 'Required.' : ''];
  const intro = words.filter(Boolean).join(' ');
  return [`### \`${place}\``, ...(intro === '' ? [] : [wrapped(intro, '')]), keysOf(place, schema).join('\n')].join(
    '\n\n',
  );
}

/** Returns one list item per key with a scalar or list value. */
function keysOf(place: string, { properties, items, required = [] }: Schema): string[] {
  if (items?.properties !== undefined) return keysOf(`${place}[0]`, items);
  return Object.entries(properties ?? {}).flatMap(([name, member]) => {
    const at = place === '' ? name : `${place}.${name}`;
    if (member.properties !== undefined || member.items?.properties !== undefined) return keysOf(at, member);
    const facts = [typeOf(member), ...(required.includes(name) ? ['required'] : []), ...defaultOf(member)].join(', ');
    const meaning = (member.description ?? '').replace(DURATION, '').replace(new RegExp(`${PATH}$`), '');
    return [wrapped(`\`${at}\`: ${facts}.${meaning === '' ? '' : ` ${sentence(meaning)}`}`, '- ')];
  });
}

function typeOf({ type, description = '', enum: choices, anyOf, items, patternProperties }: Schema): string {
  if (choices !== undefined) return inWords(choices.map((choice) => `\`${choice}\``));
  if (anyOf !== undefined) return 'duration';
  if (items !== undefined) return 'list of strings';
  if (patternProperties !== undefined) return 'object';
  return description.endsWith(PATH) ? 'absolute path' : (type ?? 'object');
}

const inWords = (items: readonly string[]): string =>
  [items.slice(0, -1).join(', '), ...items.slice(-1)].filter(Boolean).join(' or ');

function defaultOf({ default: value }: Schema): string[] {
  if (value === undefined) return [];
  const isWords = typeof value === 'string' && value.includes(' ');
  return [isWords ? `default ${value}` : `default \`${value}\``];
}

function sentence(text: string): string {
  const isName = /^(?:scheme:|host:)/.test(text);
  const first = isName ? text.charAt(0) : text.charAt(0).toUpperCase();
  return `${escaped(first + text.slice(1)).replaceAll(KEY, '`$&`')}${text.endsWith('.') ? '' : '.'}`;
}

/** Matches a config key or an environment variable in a sentence. */
const KEY = /\b(?:[a-z]+(?:[._][a-z]+)+|[A-Z]+(?:_[A-Z]+)+)\b(?![/:])/g;

// the commands

const commands = (): string =>
  [
    `\`\`\`text\n${overview()}\n\`\`\``,
    ...Object.values(GROUPS)
      .flat()
      .map((name) => `### ${name}\n\n\`\`\`text\n${helpOf(name)}\n\`\`\``),
  ].join('\n\n');

/** Returns the date of the release, which the changelog of the packages has. */
function releaseDate(): string {
  const changelog = readFileSync(join(ROOT, 'deploy/packages/changelog.yaml'), 'utf8');
  return /^ {2}date: (\S+)T/m.exec(changelog)?.[1] ?? '';
}

// the codes

interface Entry {
  /** undefined for advice */
  readonly area: Area | undefined;
  readonly title: string;
  readonly hint: string;
}

const AREAS: Readonly<Record<Area, string>> = {
  program: 'a bug',
  config: 'usage or config',
  readiness: 'the sidecar is not ready in time',
  refusal: 'Vault refuses the request',
  setup: 'Vault refuses a step of the setup',
  vault: 'Vault is unreachable, sealed or failing',
  jwt: 'no usable workload JWT',
  sink: "a sink can't be written",
  listener: "a listener can't bind its address",
};

function byExitCode(table: Readonly<Record<string, Entry>>): string {
  const groups = Object.entries(AREAS).map(([area, title]) => [
    `### Exit code ${EXIT_CODES[area as Area]}: ${title}`,
    entries(Object.entries(table).filter(([, entry]) => entry.area === area)),
  ]);
  return groups.flat().join('\n\n');
}

const codes = (table: Readonly<Record<string, Entry>>): string =>
  entries(Object.entries(table), ({ area }) =>
    area === undefined ? ' (a warning)' : ` (exit code ${EXIT_CODES[area]})`,
  );

const entries = (rows: readonly (readonly [string, Entry])[], note: (entry: Entry) => string = () => ''): string =>
  rows
    .map(([code, entry]) => {
      const { title, hint } = entry;
      return `#### \`${code}\`\n\n${wrapped(`**${title}**${note(entry)}`, '')}\n\n${wrapped(escaped(hint), '')}`;
    })
    .join('\n\n');

const escaped = (text: string): string => text.replaceAll('<', '&lt;');

if (import.meta.main) for (const [file, text] of generated()) writeFileSync(join(ROOT, file), text);
