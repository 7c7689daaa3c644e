// The commands that ask the running sidecar.

import { API, CONFIG_FILE_VARIABLE, configFor, type Description, EXCHANGE, json, OPS, timeout } from './description.ts';

const environment = (listener: string, name: string) =>
  [CONFIG_FILE_VARIABLE, [listener, `the address of the ${name}; only without a config file`]] as const;

const OF_API = {
  flags: { ...EXCHANGE, ...configFor('api.listen and api.caller_token_file'), ...API },
  environment: environment('VTS_API_LISTEN', 'token API'),
};
const OF_OPS = { flags: { ...configFor('ops.listen'), ...OPS }, environment: environment('VTS_OPS_LISTEN', 'ops API') };

export const QUERY_COMMANDS = {
  status: {
    summary: 'show what the running sidecar holds',
    about: `Shows for each exchange of the running sidecar: phase, time left on the token, next action, plan, and the last failure with its hint. For one exchange, shows Vault, JWT, token, sinks and failure in detail.`,
    argument: { name: 'EXCHANGE', meaning: 'shows this exchange in detail', isOptional: true },
    flags: {
      watch: { short: 'w', meaning: 'shows it again each second, until Ctrl-C' },
      ...OF_OPS.flags,
      ...json('the status'),
    },
    examples: [
      { what: 'Show the exchanges of the sidecar on this machine', command: 'vault-token-sidecar status' },
      { what: 'Watch one of them', command: 'vault-token-sidecar status app --watch' },
      { what: 'Print what the ops API tells about them', command: 'vault-token-sidecar status --json' },
    ],
    environment: OF_OPS.environment,
    exits: [
      [0, 'every exchange is ready'],
      [3, "an exchange isn't ready, or no sidecar answers"],
    ],
  },
  wait: {
    summary: 'wait until the running sidecar is ready',
    about: 'Waits until the running sidecar is ready. On a terminal, shows what it waits for.',
    flags: {
      exchange: { value: 'NAME', meaning: 'waits only for this exchange' },
      ...timeout('gives up after this time', '60s'),
      ...OF_OPS.flags,
    },
    examples: [{ what: 'Wait at most 30 seconds', command: 'vault-token-sidecar wait --timeout 30s' }],
    environment: OF_OPS.environment,
    exits: [[0, 'ready'], 3],
  },
  token: {
    summary: 'print the Vault token of the running sidecar',
    about: "Prints the Vault token that the running sidecar holds. Don't run it where the output is logged.",
    ...OF_API,
    examples: [{ what: 'Print the token', command: 'vault-token-sidecar token' }],
    exits: [
      [0, 'printed'],
      [2, 'there is no such exchange, or there are several'],
      [3, 'no token yet, or no sidecar answers'],
    ],
  },
  'token-helper': {
    summary: 'the same for the Vault CLI, as its token helper',
    about: `A token helper for the Vault CLI, which calls it with one of the actions.`,
    argument: {
      name: 'ACTION',
      choices: {
        get: 'prints the Vault token of the running sidecar, without a newline',
        store: "is refused: the token is the sidecar's",
        erase: "is refused: the token is the sidecar's",
      },
    },
    ...OF_API,
    examples: [{ what: 'What the Vault CLI calls', command: 'vault-token-sidecar token-helper get' }],
    exits: [
      [0, 'printed'],
      [1, 'store and erase'],
      [3, 'no token yet, or no sidecar answers'],
    ],
  },
  refresh: {
    summary: 'ask the running sidecar for a new login',
    about: `Asks the running sidecar to log in again, at once unless only a new JWT can help. Doesn't wait for the login: "status" shows its result. An exchange accepts one request in ten seconds.`,
    ...OF_API,
    examples: [
      { what: 'Log in again after the policies of the role have changed', command: 'vault-token-sidecar refresh' },
    ],
    exits: [
      [0, 'asked'],
      [3, 'asked again too soon, or no sidecar answers'],
    ],
  },
} as const satisfies Readonly<Record<string, Description>>;
