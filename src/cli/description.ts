// What a command takes, as data. The parser, --help, completion, the manual and docs/cli.md are all made from it.

import { CONFIG_VARIABLE } from '../config/variables.ts';

export interface Flag {
  /** one letter */
  readonly short?: string;
  /** the name of its value in the help; a flag without one is a switch */
  readonly value?: string;
  /** a clause such as "prints the status as JSON" */
  readonly meaning: string;
  /** for the help only: the command applies it */
  readonly fallback?: string;
  /** what its value can be, for completion */
  readonly choices?: readonly string[];
  /** its value is the path of a file */
  readonly isPath?: true;
  /** the choices of the argument that it belongs to; all of them by default */
  readonly of?: readonly string[];
}

export type Flags = Readonly<Record<string, Flag>>;

export interface Argument {
  /** its name in the help */
  readonly name: string;
  /** its possible values and their meanings; anything, if absent */
  readonly choices?: Readonly<Record<string, string>>;
  /** for an argument without choices */
  readonly meaning?: string;
  readonly isOptional?: true;
}

type Row = readonly [name: string, meaning: string];

export interface Description {
  /** one line, in the imperative */
  readonly summary: string;
  /** paragraphs, separated by empty lines */
  readonly about: string;
  readonly argument?: Argument;
  /** whether a command to start follows after `--` */
  readonly takesCommand?: true;
  readonly flags: Flags;
  readonly examples: readonly { readonly what: string; readonly command: string }[];
  /** variables and their meanings */
  readonly environment?: readonly Row[];
  /** the exit codes that need an explanation, in the words of the command or in those of EXIT_MEANINGS */
  readonly exits?: readonly (number | readonly [code: number | string, meaning: string])[];
}

export const PROGRAM = 'vault-token-sidecar';

/** The config file in examples. */
export const CONFIG_FILE = '/etc/vault-token-sidecar/config.json';

/** The exit codes that all commands share. */
export const EXIT_MEANINGS: Readonly<Record<number, string>> = {
  0: 'success; also after SIGTERM',
  1: 'a bug',
  2: 'wrong usage or config',
  3: 'not ready in time',
  4: 'Vault refused the login',
  5: 'Vault is unreachable, sealed or failing',
  6: 'no usable workload JWT',
  7: "a sink or stdout can't be written",
  8: "an address can't be used for listening",
};

/** Returns the beginning of a meaning, for the short lines of completion. */
export const firstClause = (meaning: string): string => meaning.split(/[:;] /)[0] ?? '';

/** The flags of several commands. */
export const CONFIG = {
  config: { short: 'c', value: 'FILE', isPath: true, meaning: 'the config file; without one, the environment is used' },
} as const satisfies Flags;
export const configFor = (keys: string): Flags => ({
  config: { ...CONFIG.config, meaning: `the config file, for ${keys}` },
});
export const EXCHANGE = {
  exchange: { value: 'NAME', meaning: 'the exchange; required if there are several' },
} as const satisfies Flags;
export const API = {
  api: { value: 'URL', meaning: 'the URL of the token API, or unix:/PATH' },
} as const satisfies Flags;
export const OPS = {
  ops: { value: 'URL', meaning: 'the URL of the ops API, or unix:/PATH' },
} as const satisfies Flags;
export const timeout = (meaning: string, fallback?: string): Flags => ({
  timeout: { value: 'DURATION', meaning, ...(fallback === undefined ? {} : { fallback }) },
});
export const json = (what: string): Flags => ({ json: { meaning: `prints ${what} as JSON` } });

export const CONFIG_FILE_VARIABLE: Row = [CONFIG_VARIABLE, 'the config file; --config takes precedence'];

/** The variables of commands that read the config. */
export const CONFIG_ENVIRONMENT: readonly Row[] = [
  CONFIG_FILE_VARIABLE,
  ['VAULT_ADDR, ...', `what the config leaves out: "${PROGRAM} help run" lists the variables`],
];
