// The completion script for bash. It uses nothing of the package bash-completion.

import { COMMANDS } from './commands.ts';
import { type Description, type Flag, PROGRAM } from './description.ts';

export function bashScript(): string {
  const commands = Object.entries(COMMANDS);
  const values = commands.flatMap(([command, { flags }]) =>
    Object.entries(flags).flatMap(([name, flag]) => (flag.value === undefined ? [] : [valueCase(command, name, flag)])),
  );
  const starters = commands.flatMap(([command, { takesCommand }]) => (takesCommand ? [command] : []));
  return `# bash completion of ${PROGRAM}: source <(${PROGRAM} completion bash)

_vault_token_sidecar() {
  local cur=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} command=\${COMP_WORDS[1]} index
  local IFS=$' \\t\\n'
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W '${[...Object.keys(COMMANDS), '--help', '--version'].join(' ')}' -- "$cur"))
    return
  fi
  # bash splits --flag=value at the "="
  if [[ $cur == '=' ]]; then
    cur=
  elif [[ $previous == '=' ]]; then
    previous=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  case $command in
    ${starters.join('|')})
      for ((index = 2; index < COMP_CWORD; index++)); do
        [[ \${COMP_WORDS[index]} == -- ]] || continue
        if ((COMP_CWORD == index + 1)); then _vault_token_sidecar_from -c; else _vault_token_sidecar_from -f; fi
        return
      done
      ;;
  esac
  case $command:$previous in
${values.join('\n')}
  esac
  case $command in
${commands.map(([command, description]) => wordsCase(command, description)).join('\n')}
  esac
}

# adds the commands (-c) or files (-f) that begin with $cur
_vault_token_sidecar_from() {
  local IFS=$'\\n'
  compopt -o filenames 2> /dev/null
  COMPREPLY=($(compgen "$1" -- "$cur"))
}

complete -F _vault_token_sidecar ${PROGRAM}`;
}

/** Completes the value of a flag. */
function valueCase(command: string, name: string, { short, isPath, choices }: Flag): string {
  const forms = [`--${name}`, ...(short === undefined ? [] : [`-${short}`])];
  const pattern = forms.map((form) => `${command}:${form}`).join('|');
  const action =
    choices !== undefined
      ? `COMPREPLY=($(compgen -W '${choices.join(' ')}' -- "$cur"))`
      : isPath
        ? '_vault_token_sidecar_from -f'
        : ':';
  return `    ${pattern}) ${action}; return ;;`;
}

/** Completes flags, and before them the argument. */
function wordsCase(command: string, { argument, flags }: Description): string {
  const names = [...Object.keys(flags), 'help'].map((name) => `--${name}`).join(' ');
  const choices = Object.keys(argument?.choices ?? {}).join(' ');
  const reply = (words: string) => `COMPREPLY=($(compgen -W '${words}' -- "$cur"))`;
  if (choices === '') return `    ${command}) ${reply(names)} ;;`;
  return `    ${command}) if [[ $cur == -* ]]; then ${reply(names)}; else ${reply(choices)}; fi ;;`;
}
