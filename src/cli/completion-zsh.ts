// The completion script for zsh, for its completion system (compinit).

import { COMMANDS } from './commands.ts';
import { type Argument, type Description, type Flag, firstClause, PROGRAM } from './description.ts';

export const zshScript = (): string => `#compdef ${PROGRAM}
# zsh completion of ${PROGRAM}: source <(${PROGRAM} completion zsh), after compinit

_${PROGRAM}() {
  local context state state_descr line
  typeset -A opt_args
  _arguments -C \\
    '(- *)'{-h,--help}'[print this help]' \\
    '(- *)'{-V,--version}'[print the version]' \\
    '1: :->command' \\
    '*:: :->rest'
  case $state in
    command)
      local -a subcommands=(
${Object.entries(COMMANDS)
  .map(([name, { summary }]) => `        ${quoted(`${name}:${summary.replaceAll(':', '\\:')}`)}`)
  .join('\n')}
      )
      _describe command subcommands
      ;;
    rest)
      case $words[1] in
${Object.entries(COMMANDS)
  .map(([name, description]) => commandCase(name, description))
  .join('\n')}
      esac
      ;;
  esac
}

if [[ $funcstack[1] == _${PROGRAM} ]]; then
  _${PROGRAM} "$@"
else
  compdef _${PROGRAM} ${PROGRAM}
fi`;

function commandCase(command: string, { argument, flags, takesCommand }: Description): string {
  const specs = [
    ...Object.entries(flags).map(([name, flag]) => flagSpec(name, flag)),
    "'(- *)'{-h,--help}'[print this help]'",
    ...(argument === undefined ? [] : [quoted(argumentSpec(argument))]),
  ];
  return [
    `        ${command})`,
    ...(takesCommand ? [COMMAND_AFTER_DASHES] : []),
    `          _arguments -S : ${specs.join(' ')}`,
    '          ;;',
  ].join('\n');
}

const COMMAND_AFTER_DASHES = `          local -i dashes=\${words[(i)--]}
          if (( dashes < CURRENT )); then
            shift $dashes words
            (( CURRENT -= dashes ))
            _normal
            return
          fi`;

function flagSpec(name: string, { short, value, meaning, isPath, choices }: Flag): string {
  const action = choices !== undefined ? `(${choices.join(' ')})` : isPath ? '_files' : ' ';
  const rest = `[${firstClause(meaning).replaceAll(/[[\]\\:]/g, '\\$&')}]${value === undefined ? '' : `:${value}:${action}`}`;
  const [long, letter] = value === undefined ? [`--${name}`, `-${short}`] : [`--${name}=`, `-${short}+`];
  if (short === undefined) return quoted(`${long}${rest}`);
  return `'(-${short} --${name})'{${letter},${long}}${quoted(rest)}`;
}

function argumentSpec({ name, choices }: Argument): string {
  if (choices === undefined) return `1::${name}: `;
  const values = Object.entries(choices).map(
    ([choice, meaning]) => `${choice}\\:"${meaning.replaceAll(/["$`\\:]/g, '\\$&')}"`,
  );
  return `1:${name}:((${values.join(' ')}))`;
}

/** Quotes a text for the shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
