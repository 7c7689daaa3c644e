// All commands, in the groups of the overview.

import { type Description, json } from './description.ts';
import { QUERY_COMMANDS } from './query-commands.ts';
import { SETUP_COMMANDS } from './setup-commands.ts';
import { TOKEN_COMMANDS } from './token-commands.ts';

const OTHER_COMMANDS = {
  completion: {
    summary: 'print the completion script of a shell',
    about: `Prints a script that completes commands, flags and their values. The script doesn't need bash-completion.`,
    argument: {
      name: 'SHELL',
      choices: {
        bash: 'load it in ~/.bashrc',
        zsh: 'load it in ~/.zshrc, after compinit',
        fish: 'write it to ~/.config/fish/completions/vault-token-sidecar.fish',
      },
    },
    flags: {},
    examples: [
      { what: 'In ~/.bashrc', command: 'source <(vault-token-sidecar completion bash)' },
      { what: 'In ~/.zshrc', command: 'source <(vault-token-sidecar completion zsh)' },
    ],
  },
  help: {
    summary: 'explain a command',
    about: 'Prints the help of a command, or the list of all commands.',
    flags: {},
    examples: [{ what: 'Explain the flags of "exec"', command: 'vault-token-sidecar help exec' }],
  },
  version: {
    summary: 'print the version',
    about: 'Prints the version of the sidecar, the commit that it was built from, and the version of Node.',
    flags: json('them'),
    examples: [{ what: 'Print the version', command: 'vault-token-sidecar version' }],
  },
} as const satisfies Readonly<Record<string, Description>>;

const NAMED = { ...TOKEN_COMMANDS, ...QUERY_COMMANDS, ...SETUP_COMMANDS, ...OTHER_COMMANDS };

export type CommandName = keyof typeof NAMED;

const names = Object.fromEntries(Object.entries(NAMED).map(([name, { summary }]) => [name, summary]));

/** Every command by its name. "help" takes the name of another one. */
export const COMMANDS: Readonly<Record<CommandName, Description>> = {
  ...NAMED,
  help: { ...OTHER_COMMANDS.help, argument: { name: 'COMMAND', choices: names, isOptional: true } },
};

export const isCommand = (name: string): name is CommandName => Object.hasOwn(COMMANDS, name);

/** The groups of the overview. */
export const GROUPS: Readonly<Record<string, readonly CommandName[]>> = {
  'Get a token': Object.keys(TOKEN_COMMANDS) as CommandName[],
  'Ask the running sidecar': Object.keys(QUERY_COMMANDS) as CommandName[],
  'Prepare and diagnose': Object.keys(SETUP_COMMANDS) as CommandName[],
  Other: Object.keys(OTHER_COMMANDS) as CommandName[],
};
