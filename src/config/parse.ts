// Parses the text of a config file and the environment into settings, and reports all problems at once. Pure: the caller reads
// the file and passes the environment.

import { type JSONVisitor, printParseErrorCode, visit } from 'jsonc-parser';
import { Check, Errors } from 'typebox/schema';
import { Settings as Validation } from 'typebox/system';
import type { Settings } from '../core/settings.ts';
import { type Environment, environmentConfig, type Variables, withVaultVariables } from './environment.ts';
import { foreignFormat } from './foreign.ts';
import type { Notes } from './notes.ts';
import { type Origin, originsOf } from './origins.ts';
import { ConfigError, type ConfigProblem } from './problem.ts';
import { unprintableValues } from './rules.ts';
import { type ConfigFile, ConfigSchema } from './schema.ts';
import { buildSettings } from './settings.ts';
import { problemsOf } from './violations.ts';

export interface ParsedConfig {
  readonly settings: Settings;
  /** Returns the effective values with their origins. */
  origins(): readonly Origin[];
}

// Report all problems at once; an unknown key counts twice.
Validation.Set({ maxErrors: 200 });

interface Surroundings {
  readonly fileName: string;
  readonly env: Environment;
  /** the variables that set the values of `text`, if it isn't from a file */
  readonly variables?: Variables;
}

/** @throws ConfigError with all problems */
export function parseConfig(text: string, { fileName, env, variables = {} }: Surroundings): ParsedConfig {
  const errorOf = (problems: readonly ConfigProblem[], given: Variables = variables) =>
    new ConfigError(problems.map((problem) => withOrigin(problem, fileName, given)));
  const syntax = findSyntaxProblems(text);
  const foreign = syntax.some(({ message }) => message.startsWith(NO_JSON)) ? foreignFormat(text) : undefined;
  if (foreign !== undefined) throw errorOf([{ message: foreign }]);
  if (syntax.length > 0) throw errorOf(syntax);
  const value: unknown = JSON.parse(text);
  if (!isConfigFile(value)) {
    const [, violations] = Errors(ConfigSchema, value);
    const problems = problemsOf(ConfigSchema, violations);
    // With too many unknown keys, the truncated list of violations names none of them.
    throw errorOf(problems.length > 0 ? problems : [{ pointer: '', message: 'has too many unknown keys to list' }]);
  }
  const { file, variables: ofVault } = withVaultVariables(value, env);
  const given = { ...variables, ...ofVault };
  const unprintable = unprintableValues(file);
  if (unprintable.length > 0) throw errorOf(unprintable, given);
  const notes: Notes = { defaults: [], problems: [] };
  const settings = buildSettings(file, notes);
  if (notes.problems.length > 0) throw errorOf(notes.problems, given);
  return { settings, origins: () => originsOf(file, given, notes.defaults) };
}

/** Adds the origin of a problem: the file, or the variable that set the value. */
function withOrigin(problem: ConfigProblem, fileName: string, variables: Variables): ConfigProblem {
  const variable = problem.pointer === undefined ? undefined : variables[problem.pointer];
  return variable === undefined ? { ...problem, origin: fileName } : { origin: variable, message: problem.message };
}

/** Validates strictly: coerces no value and ignores no key. */
const isConfigFile = (value: unknown): value is ConfigFile => Check(ConfigSchema, value);

/**
 * Returns a config with one exchange named "default", from the environment.
 * @param needsSink whether the exchange must have a sink; true by default
 * @throws ConfigError with all problems
 */
export function configFromEnvironment(env: Environment, { needsSink = true } = {}): ParsedConfig {
  const { missing, text, variables } = environmentConfig(env, { needsSink });
  if (missing.length > 0) throw new ConfigError(missing);
  return parseConfig(text, { fileName: 'environment', env, variables });
}

const NO_JSON = 'not valid JSON';

/** Finds syntax errors and duplicate keys, which JSON.parse silently accepts. */
function findSyntaxProblems(text: string): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const keys: Set<string>[] = [];
  const add = (line: number, column: number, message: string) =>
    problems.push({ position: { line: line + 1, column: column + 1 }, message });
  const visitor: JSONVisitor = {
    onObjectBegin: () => void keys.push(new Set()),
    onObjectEnd: () => void keys.pop(),
    onObjectProperty(name, _offset, _length, line, column) {
      if (keys.at(-1)?.has(name)) add(line, column, `duplicate key ${JSON.stringify(name)}`);
      keys.at(-1)?.add(name);
    },
    onError(error, _offset, _length, line, column) {
      add(line, column, `${NO_JSON} (${printParseErrorCode(error)})`);
    },
  };
  try {
    visit(text, visitor, { disallowComments: true, allowTrailingComma: false });
  } catch (error) {
    // The visitor is recursive, as is all later code that reads the config.
    if (error instanceof RangeError) return [{ position: { line: 1, column: 1 }, message: 'is nested too deeply' }];
    throw error;
  }
  return problems.slice(0, 20);
}
