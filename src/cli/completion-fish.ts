// The completion script for fish.

import { COMMANDS } from './commands.ts';
import { type Description, type Flag, firstClause, PROGRAM } from './description.ts';

const FIRST = "'test (count (commandline -opc)) -eq 1'";

export const fishScript = (): string => `# fish completion of ${PROGRAM}: ${PROGRAM} completion fish | source

function __vault_token_sidecar_is -d 'Tests which command is used'
    set -l words (commandline -opc)
    test "$words[2]" = "$argv[1]"
end

function __vault_token_sidecar_command -d 'Completes the command after --'
    set -l words (commandline -opc)
    set -l end (contains -i -- -- $words)
    or return
    set -e words[1..$end]
    complete -C (string join ' ' -- (string escape -- $words) (commandline -ct))
end

complete -c ${PROGRAM} -f
complete -c ${PROGRAM} -n ${FIRST} -s V -l version -d 'print the version'
complete -c ${PROGRAM} -s h -l help -d 'print this help'
${Object.entries(COMMANDS)
  .flatMap(([name, description]) => linesOf(name, description))
  .join('\n')}`;

function linesOf(name: string, { summary, argument, flags, takesCommand }: Description): string[] {
  const line = (condition: string, rest: string) => `complete -c ${PROGRAM} -n ${condition} ${rest}`;
  const isUsed = `'__vault_token_sidecar_is ${name}'`;
  return [
    line(FIRST, `-a ${name} -d ${quoted(summary)}`),
    ...Object.entries(argument?.choices ?? {}).map(([choice, meaning]) =>
      line(isUsed, `-a ${choice} -d ${quoted(meaning)}`),
    ),
    ...Object.entries(flags).map(([flag, one]) => line(isUsed, flagOptions(flag, one))),
    ...(takesCommand ? [line(isUsed, "-a '(__vault_token_sidecar_command)'")] : []),
  ];
}

function flagOptions(name: string, { short, value, meaning, isPath, choices }: Flag): string {
  const kind = value === undefined ? [] : isPath ? ['-r -F'] : ['-x'];
  return [
    ...(short === undefined ? [] : [`-s ${short}`]),
    `-l ${name}`,
    ...kind,
    ...(choices === undefined ? [] : [`-a ${quoted(choices.join(' '))}`]),
    `-d ${quoted(firstClause(meaning))}`,
  ].join(' ');
}

/** Quotes a text for fish. */
const quoted = (text: string): string => `'${text.replaceAll(/['\\]/g, '\\$&')}'`;
