// Parses the arguments of the program into a command, its flags and its words.

import { parseArgs } from 'node:util';
import { suggestion } from '../core/nearest.ts';
import { scrub, shortened } from '../core/secret.ts';
import { UsageError } from '../host/io.ts';
import { COMMANDS, type CommandName, isCommand } from './commands.ts';
import { type Description, PROGRAM } from './description.ts';

export type FlagValues = Readonly<Record<string, string | boolean | undefined>>;

export interface Invocation {
  readonly name: CommandName;
  /** the flags, and the argument as "argument" */
  readonly flags: FlagValues;
  /** what follows after `--`, for commands that take it */
  readonly words: readonly string[];
}

/** Returns what to run; "help" without an argument stands for the overview. @throws UsageError */
export function parse(argv: readonly string[]): Invocation {
  const [first = '--help', ...rest] = argv;
  const helpOf = (argument?: string): Invocation => ({ name: 'help', flags: { argument }, words: [] });
  if (first === '--help' || first === '-h') return helpOf();
  const name = first === '--version' || first === '-V' ? 'version' : first;
  if (!isCommand(name)) throw new UsageError(unknownCommand(name));
  const description: Description = COMMANDS[name];
  const { tokens, words } = tokensOf(description, rest);
  if (tokens.some((token) => token.kind === 'option' && (token.name === 'help' || token.rawName === '-h')))
    return helpOf(name);
  const positionals = tokens.flatMap((token) => (token.kind === 'positional' ? [token.value] : []));
  const flags: Record<string, string | true> = {};
  if (description.takesCommand === true && positionals.length > 0)
    throw new UsageError(`${name} needs -- before the command, such as: ${name} -- env`);
  for (const token of tokens) if (token.kind === 'option') flags[token.name] = valueFor(name, description, token);
  const argument = argumentOf(name, description, positionals);
  for (const [flag, { of }] of Object.entries(description.flags))
    if (of !== undefined && flags[flag] !== undefined && !of.includes(argument ?? ''))
      throw new UsageError(`${name} ${argument} has no --${flag}`);
  return { name, flags: { ...flags, argument }, words };
}

type Tokens = NonNullable<ReturnType<typeof parseArgs>['tokens']>;
type OptionToken = Extract<Tokens[number], { kind: 'option' }>;

/** Splits the arguments. Not strict: the errors of parseArgs name neither the nearest flag nor the command. */
function tokensOf({ flags, takesCommand }: Description, args: readonly string[]) {
  const end = takesCommand === true ? args.indexOf('--') : -1;
  const own = end < 0 ? args : args.slice(0, end);
  const options = Object.fromEntries(
    Object.entries(flags).map(([name, { short, value }]) => [
      name,
      { type: value === undefined ? ('boolean' as const) : ('string' as const), ...(short ? { short } : {}) },
    ]),
  );
  const { tokens } = parseArgs({ args: own, options, strict: false, allowPositionals: true, tokens: true });
  return { tokens: tokens as Tokens, words: end < 0 ? [] : args.slice(end + 1) };
}

/** @throws UsageError */
function valueFor(command: CommandName, { flags }: Description, { name, rawName, value, inlineValue }: OptionToken) {
  const flag = Object.hasOwn(flags, name) ? flags[name] : undefined;
  if (flag === undefined) {
    const near = suggestion(
      rawName,
      [...Object.keys(flags), 'help'].map((one) => `--${one}`),
    );
    throw new UsageError(`unknown flag ${quoted(rawName)}${near || `; "${PROGRAM} help ${command}" lists the flags`}`);
  }
  if (flag.value === undefined) {
    if (value !== undefined) throw new UsageError(`${rawName} takes no value`);
    return true;
  }
  if (value === undefined) throw new UsageError(`${rawName} needs a value: ${rawName} ${flag.value}`);
  // "--config --json" is a forgotten value
  if (inlineValue !== true && value.length > 1 && value.startsWith('-'))
    throw new UsageError(`${rawName} needs a value; write one that begins with "-" as --${name}=VALUE`);
  return value;
}

/** @throws UsageError */
function argumentOf(command: CommandName, { argument }: Description, positionals: readonly string[]) {
  const [given, extra] = argument === undefined ? [undefined, ...positionals] : positionals;
  const choices = argument?.choices && Object.keys(argument.choices);
  const isMissing = given === undefined && argument?.isOptional !== true;
  if (command === 'help' && given !== undefined && !isCommand(given)) throw new UsageError(unknownCommand(given));
  if (choices !== undefined && (given === undefined ? isMissing : !choices.includes(given)))
    throw new UsageError(`"${command}" takes one of ${choices.join(', ')}`);
  if (extra !== undefined) throw new UsageError(`unexpected argument ${quoted(extra)} of "${command}"`);
  return given;
}

function unknownCommand(given: string): string {
  const what = given.startsWith('-') ? 'flag' : 'command';
  const known = what === 'flag' ? ['--help', '--version'] : Object.keys(COMMANDS);
  const near = suggestion(given, known);
  const rest = what === 'flag' ? '; flags come after the command' : `; "${PROGRAM} --help" lists them`;
  return `unknown ${what} ${quoted(given)}${near || rest}`;
}

/** Returns a word of the command line for a message. It may be a misplaced secret. */
const quoted = (word: string): string => JSON.stringify(shortened(scrub(word), 40));
