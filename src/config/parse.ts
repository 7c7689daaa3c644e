// From the text of a config file, and the environment beside it, to settings. Everything that is wrong is found at once,
// each as one line with its place. Pure: the file is read by the caller, and the environment is handed in.

import { type JSONVisitor, printParseErrorCode, visit } from 'jsonc-parser';
import { Check, Errors } from 'typebox/schema';
import { Settings as Validation } from 'typebox/system';
import { withoutControls } from '../core/secret.ts';
import type { Settings } from '../core/settings.ts';
import { type Environment, environmentConfig, type Variables, withVaultVariables } from './environment.ts';
import type { Notes } from './notes.ts';
import { type Origin, originsOf } from './origins.ts';
import { describeViolations } from './problems.ts';
import { unprintableValues } from './rules.ts';
import { type ConfigFile, ConfigSchema } from './schema.ts';
import { buildSettings } from './settings.ts';

export interface ParsedConfig {
  readonly settings: Settings;
  /** each value in force and where it came from, for people */
  origins(): readonly Origin[];
}

/** The config can't be used; `problems` has one line for each thing to mend. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    // a key may hold anything; each problem stays one line, and tells a terminal nothing
    const lines = problems.map(withoutControls);
    super(lines.join('; '));
    this.name = 'ConfigError';
    this.problems = lines;
  }
}

// every problem at once; an unknown key takes up two
Validation.Set({ maxErrors: 200 });

interface Surroundings {
  readonly fileName: string;
  readonly env: Environment;
  /** what gave the values of `text` where it is no file */
  readonly variables?: Variables;
}

/** @throws ConfigError naming every problem */
export function parseConfig(text: string, { fileName, env, variables = {} }: Surroundings): ParsedConfig {
  const syntax = findSyntaxProblems(text);
  if (syntax.length > 0) throw new ConfigError(syntax.map((problem) => `${fileName}:${problem}`));
  const value: unknown = JSON.parse(text);
  if (!isConfigFile(value)) {
    const [, violations] = Errors(ConfigSchema, value);
    const lines = describeViolations(ConfigSchema, violations);
    // of very many unknown keys the list of violations holds only halves, which tell nothing by themselves
    if (lines.length === 0) lines.push('/: has too many unknown keys to name one');
    throw new ConfigError(lines.map((line) => placed(line, fileName, variables)));
  }
  const { file, variables: ofVault } = withVaultVariables(value, env);
  const given = { ...variables, ...ofVault };
  const unprintable = unprintableValues(file);
  if (unprintable.length > 0) throw new ConfigError(unprintable.map((line) => placed(line, fileName, given)));
  const notes: Notes = { defaults: [], problems: [] };
  const settings = buildSettings(file, notes);
  if (notes.problems.length > 0) throw new ConfigError(notes.problems.map((line) => placed(line, fileName, given)));
  return { settings, origins: () => originsOf(file, given, notes.defaults) };
}

/** A problem, with whoever gave the value at its place: the variable, or the file. */
function placed(problem: string, fileName: string, variables: Variables): string {
  const place = problem.slice(0, problem.indexOf(': '));
  const variable = variables[place];
  return variable === undefined ? `${fileName}: ${problem}` : `${variable}${problem.slice(place.length)}`;
}

/** Strict: nothing is coerced, nothing silently dropped. */
const isConfigFile = (value: unknown): value is ConfigFile => Check(ConfigSchema, value);

/** Without a file: one exchange named "default" from the environment. @throws ConfigError naming every problem */
export function configFromEnvironment(env: Environment): ParsedConfig {
  const { missing, text, variables } = environmentConfig(env);
  if (missing.length > 0) throw new ConfigError(missing);
  return parseConfig(text, { fileName: 'environment', env, variables });
}

/** Lines of "line:column: what": bad syntax, and keys that stand twice (JSON.parse would silently take the last). */
function findSyntaxProblems(text: string): string[] {
  const problems: string[] = [];
  const keys: Set<string>[] = [];
  const visitor: JSONVisitor = {
    onObjectBegin: () => void keys.push(new Set()),
    onObjectEnd: () => void keys.pop(),
    onObjectProperty(name, _offset, _length, line, column) {
      if (keys.at(-1)?.has(name)) problems.push(`${line + 1}:${column + 1}: duplicate key ${JSON.stringify(name)}`);
      keys.at(-1)?.add(name);
    },
    onError(error, _offset, _length, line, column) {
      problems.push(`${line + 1}:${column + 1}: not valid JSON (${printParseErrorCode(error)})`);
    },
  };
  try {
    visit(text, visitor, { disallowComments: true, allowTrailingComma: false });
  } catch (error) {
    // it goes down by recursion, and so would whoever reads it after this
    if (error instanceof RangeError) return ['1:1: nested too deep'];
    throw error;
  }
  return problems.slice(0, 20);
}
