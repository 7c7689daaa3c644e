// The commands that get a token.

import { VAULT_VARIABLES, VTS_VARIABLES } from '../config/variables.ts';
import { SIGNALS } from '../core/signals.ts';
import {
  CONFIG,
  CONFIG_ENVIRONMENT,
  CONFIG_FILE,
  CONFIG_FILE_VARIABLE,
  type Description,
  EXCHANGE,
  timeout,
} from './description.ts';

export const TOKEN_COMMANDS = {
  run: {
    summary: 'run the sidecar',
    about: `Keeps a Vault token for each exchange of the config, in its sinks and on the token API, until it is stopped.

SIGTERM and SIGINT stop it, SIGHUP reloads the config, and SIGUSR2 logs in again.

Without a config file, the environment configures one exchange named "default".`,
    flags: CONFIG,
    examples: [
      { what: 'Run with a config file', command: `vault-token-sidecar run --config ${CONFIG_FILE}` },
      {
        what: 'Run without one',
        command:
          'VAULT_ADDR=https://vault.example.com:8200 VTS_JWT_FILE=/var/run/secrets/oidc/token VTS_ROLE=app VTS_TOKEN_FILE=/vault/token vault-token-sidecar run',
      },
    ],
    environment: [
      CONFIG_FILE_VARIABLE,
      ...Object.entries(VAULT_VARIABLES).map(
        ([name, { meaning }]) => [`VAULT_${name}`, `${meaning}; also BAO_${name}`] as const,
      ),
      ...Object.entries(VTS_VARIABLES).map(
        ([name, { meaning }]) => [name, `${meaning}; only without a config file`] as const,
      ),
    ],
    exits: [0, 2, 8],
  },
  once: {
    summary: 'log in, write every sink once and exit',
    about: `Logs in, writes every sink once and exits, for CI jobs and init containers. Runs no on_change. Logs to stderr.

Leaves the token in place, even with "on_stop": "revoke". If an exchange can't write all its sinks, or has none, revokes its token and removes the files that hold it.

Exits at once on errors that last, such as a missing role; waits for Vault and for the JWT's file.`,
    flags: { ...CONFIG, ...timeout('gives up after this time', '60s') },
    examples: [
      {
        what: 'Get a token in a CI job',
        command: `vault-token-sidecar once --config ${CONFIG_FILE} --timeout 60s`,
      },
    ],
    environment: CONFIG_ENVIRONMENT,
    exits: [[0, 'every sink has a token'], 2, 3, 4, 5, 6, [7, "a sink can't be written"]],
  },
  exec: {
    summary: 'run a command with a Vault token in its environment',
    about: `Logs in, and runs the command with VAULT_TOKEN, VAULT_ADDR and, if configured, VAULT_NAMESPACE, VAULT_CACERT, VAULT_CLIENT_CERT, VAULT_CLIENT_KEY and VAULT_TLS_SERVER_NAME. Keeps the token alive while the command runs, passes signals on, and revokes the token when the command ends.

Writes the sinks of the exchange as "run" does, and removes their files at the end. Logs warnings and errors to stderr, as text. Without a config file, VTS_TOKEN_FILE is optional.`,
    takesCommand: true,
    flags: {
      ...CONFIG,
      ...EXCHANGE,
      ...timeout('gives up the first login after this time', '60s'),
      'on-new-token': {
        value: 'ACTION',
        meaning:
          'what to do when the token is replaced, but not when it is renewed: nothing; restart, which sends SIGTERM, and SIGKILL after 10 s; or the name of a signal to send, such as SIGHUP',
        fallback: 'nothing',
        choices: ['nothing', 'restart', ...SIGNALS],
      },
      keep: { meaning: 'leaves the token and the files of the sinks in place' },
    },
    examples: [
      { what: 'Read a secret', command: `vault-token-sidecar exec --config ${CONFIG_FILE} -- vault kv get secret/app` },
      {
        what: 'Restart a program whenever it needs a new token',
        command: `vault-token-sidecar exec --config ${CONFIG_FILE} --on-new-token restart -- ./server`,
      },
    ],
    environment: CONFIG_ENVIRONMENT,
    exits: [
      ['N', 'the exit code of the command, or 128 and the number of the signal that ended it'],
      [126, "the command can't be started"],
      [127, 'there is no such command'],
      ['3 to 7', 'the login fails, as in "once", and the command isn\'t started'],
    ],
  },
} as const satisfies Readonly<Record<string, Description>>;
