// Renders the help of a command, and the overview of all commands.

import { COMMANDS, type CommandName, GROUPS } from './commands.ts';
import { type Description, EXIT_MEANINGS, type Flag, PROGRAM } from './description.ts';
import { columns, wrap } from './text.ts';

const WIDTH = 80;

export function overview(): string {
  const groups = Object.entries(GROUPS).map(([title, names]) => ({
    title,
    rows: names.map((name) => [name, COMMANDS[name].summary] as const),
  }));
  const width = Math.max(...Object.keys(COMMANDS).map((name) => name.length));
  return [
    "Exchanges a workload's JWT for a Vault token, and keeps the token alive.",
    `Usage: ${PROGRAM} COMMAND [flags]`,
    ...groups.map(({ title, rows }) =>
      section(
        title,
        columns(
          rows.map(([name, summary]) => [name.padEnd(width), summary]),
          WIDTH,
        ),
      ),
    ),
    section('Flags', columns([HELP, ['-V, --version', 'print the version']], WIDTH)),
    `"${PROGRAM} help COMMAND" explains a command.`,
  ].join('\n\n');
}

const HELP = ['-h, --help', 'print this help'] as const;

export function helpOf(name: CommandName): string {
  const description = COMMANDS[name];
  const { about, argument, flags, examples, environment = [] } = description;
  const rows = Object.entries(flags);
  const common = rows.filter(([, { of }]) => of === undefined).map(([flag, one]) => flagRow(flag, one));
  const choices = Object.entries(argument?.choices ?? {});
  const own = choices.flatMap(([choice]) => {
    const ofChoice = rows.filter(([, { of }]) => of?.includes(choice)).map(([flag, one]) => flagRow(flag, one));
    return ofChoice.length === 0 ? [] : [section(`Flags of ${choice}`, columns(ofChoice, WIDTH))];
  });
  return [
    `Usage: ${synopsis(name, description)}`,
    ...about.split('\n\n').map((paragraph) => wrap(paragraph, WIDTH).join('\n')),
    ...(argument === undefined
      ? []
      : [
          section(
            argument.name,
            columns(argument.choices ? choices : [[argument.name, argument.meaning ?? '']], WIDTH),
          ),
        ]),
    section(
      'Examples',
      examples.flatMap(({ what, command }) => [`  # ${what}`, `  ${command}`]),
    ),
    section('Flags', columns([...common, HELP], WIDTH)),
    ...own,
    ...(environment.length === 0 ? [] : [section('Environment', columns(environment, WIDTH))]),
    ...(description.exits === undefined ? [] : [section('Exit codes', columns(exitRows(description), WIDTH))]),
  ].join('\n\n');
}

/** Returns the form of a command: its name, argument and flags. */
export function synopsis(name: CommandName, { argument, takesCommand }: Description): string {
  const word = argument === undefined ? [] : [argument.isOptional ? `[${argument.name}]` : argument.name];
  const command = takesCommand ? ['--', 'COMMAND', '[ARGUMENT...]'] : [];
  return [PROGRAM, name, ...word, '[flags]', ...command].join(' ');
}

/** Returns the form of a flag, and its meaning with its default. */
export function flagRow(name: string, { short, value, meaning, fallback }: Flag): readonly [string, string] {
  const letter = short === undefined ? '    ' : `-${short}, `;
  const form = `${letter}--${name}${value === undefined ? '' : ` ${value}`}`;
  return [form, fallback === undefined ? meaning : `${meaning} (default: ${fallback})`];
}

/** Returns the exit codes of a command and their meanings. */
export const exitRows = ({ exits = [] }: Description): readonly (readonly [string, string])[] =>
  exits.map((exit) =>
    typeof exit === 'number' ? [String(exit), EXIT_MEANINGS[exit] ?? ''] : [String(exit[0]), exit[1]],
  );

const section = (title: string, lines: readonly string[]): string => [`${title}:`, ...lines].join('\n');
