// The commands that prepare, check and explain.

import { CONFIG, CONFIG_ENVIRONMENT, CONFIG_FILE, type Description, json, timeout } from './description.ts';

const ONLY = { exchange: { value: 'NAME', meaning: 'only this exchange' } } as const;
const OPERATOR = [
  ...CONFIG_ENVIRONMENT,
  ['VAULT_TOKEN', "the operator's token for the Vault at VAULT_ADDR; else ~/.vault-token"],
] as const;

export const SETUP_COMMANDS = {
  init: {
    summary: 'write a config for a pod, a CI job, a VM or another Vault',
    about: `Writes a config for a common kind of workload: a pod, a CI job, a VM, or a client of another Vault. Prints the commands that set up Vault, and what the platform needs: the settings of the issuer, the commands that publish it at oidc.pub, and a pod manifest, a CI job or a systemd unit.`,
    argument: {
      name: 'SCENARIO',
      choices: {
        kubernetes: 'a pod',
        gitlab: 'a job of GitLab CI',
        vault: 'another Vault is the issuer',
        github: 'a job of GitHub Actions or Forgejo Actions',
        gce: 'a VM of Google Compute Engine',
        azure: 'a VM of Azure with a managed identity',
      },
    },
    flags: {
      config: { short: 'c', value: 'FILE', isPath: true, meaning: 'the file to write', fallback: 'config.json' },
      'vault-address': { value: 'URL', meaning: 'the Vault to log in to; required' },
      issuer: {
        value: 'ISSUER',
        meaning: 'a URL, or a name: k8s-prod stands for https://k8s-prod.oidc.pub; github, gce and azure have defaults',
      },
      role: { value: 'NAME', meaning: 'the role to log in with' },
      policy: {
        value: 'NAME',
        meaning: 'an existing policy for its tokens; by default, setup writes one that reads one secret',
      },
      mount: {
        value: 'PATH',
        meaning: 'the path of the JWT auth method',
        fallback: 'jwt, the name of the scenario, or the name of the issuing Vault',
      },
      overwrite: { meaning: 'overwrites an existing config' },
      namespace: { value: 'NAME', meaning: 'the namespace of the pod', fallback: 'default', of: ['kubernetes'] },
      'service-account': { value: 'NAME', meaning: 'the service account of the pod; required', of: ['kubernetes'] },
      project: { value: 'GROUP/PROJECT', meaning: 'the project; required', of: ['gitlab'] },
      'ref-type': {
        value: 'TYPE',
        meaning: 'branch or tag',
        fallback: 'branch',
        choices: ['branch', 'tag'],
        of: ['gitlab'],
      },
      'entity-id': { value: 'ID', meaning: "the entity of the issuing Vault's client; required", of: ['vault'] },
      'source-address': { value: 'URL', meaning: 'the issuing Vault; required', of: ['vault'] },
      'source-namespace': { value: 'NAME', meaning: 'its namespace', of: ['vault'] },
      repository: { value: 'OWNER/REPO', meaning: 'the repository; required', of: ['github'] },
      ref: { value: 'REF', meaning: 'the branch or tag', fallback: 'main', of: ['gitlab', 'github'] },
      environment: { value: 'NAME', meaning: 'the environment of the job, instead of --ref', of: ['github'] },
      'service-account-id': { value: 'NUMBER', meaning: 'the unique id of the service account; required', of: ['gce'] },
      'tenant-id': {
        value: 'ID',
        meaning: 'the tenant of Microsoft Entra ID; required without --issuer',
        of: ['azure'],
      },
      'principal-id': { value: 'ID', meaning: 'the object id of the identity; required', of: ['azure'] },
      audience: {
        value: 'AUDIENCE',
        meaning: 'the audience of the JWT; for azure an application ID URI, required',
        fallback: 'vault',
        of: ['github', 'gce', 'azure'],
      },
    },
    examples: [
      {
        what: 'A pod of a cluster whose issuer is at https://k8s-prod.oidc.pub',
        command:
          'vault-token-sidecar init kubernetes --issuer k8s-prod --service-account my-app --vault-address https://vault.example.com:8200',
      },
    ],
  },
  setup: {
    summary: 'print or apply the Vault setup of the exchanges',
    about: `Prints the vault commands that create the mount, the trust config, the policies and the role of each exchange. With --apply, shows the changes, asks for confirmation and writes them to Vault. It deletes nothing.`,
    flags: {
      ...CONFIG,
      ...ONLY,
      ...json('the setup'),
      hcl: { meaning: "prints the setup for Terraform's vault provider" },
      apply: { meaning: 'writes the setup to Vault' },
      yes: { short: 'y', meaning: 'applies without confirmation' },
      replace: { meaning: 'allows --apply to change the issuer that a mount trusts' },
    },
    examples: [
      { what: 'Print the commands', command: `vault-token-sidecar setup --config ${CONFIG_FILE}` },
      { what: 'Apply them', command: `vault-token-sidecar setup --config ${CONFIG_FILE} --apply` },
    ],
    environment: OPERATOR,
    exits: [2, [4, 'Vault refuses a step of the setup'], 5],
  },
  validate: {
    summary: 'validate the config and show where each value comes from',
    about: `Validates the config without using the network. Prints every effective value with its origin: the file, the environment or a default. Prints "(set)" for the texts of source.http that may hold credentials. Warns about roles in its setup that accept too many workloads. If the config is invalid, prints one line per problem.`,
    flags: { ...CONFIG, ...json('the values, warnings and problems') },
    examples: [{ what: 'Check a config file', command: `vault-token-sidecar validate --config ${CONFIG_FILE}` }],
    environment: CONFIG_ENVIRONMENT,
    exits: [
      [0, 'valid'],
      [2, 'invalid'],
    ],
  },
  doctor: {
    summary: 'explain why a login fails',
    about: `Explains why a login fails, root cause first. Checks the config, the JWT, its issuer, Vault, the mount, the role, the sinks and the listeners. Logs in once and revokes that token. Ends within 20 s.

If VAULT_ADDR is set, and the operator has a token, it also compares the mount, the role and the policies in that Vault with the config.`,
    flags: {
      ...CONFIG,
      ...ONLY,
      'fetch-issuer': { meaning: "allows fetching the issuer's documents from hosts that the config doesn't name" },
      ...json('the findings'),
    },
    examples: [{ what: 'Explain', command: `vault-token-sidecar doctor --config ${CONFIG_FILE}` }],
    environment: OPERATOR,
    exits: [
      [0, 'all is well, or there are only warnings'],
      ['2 to 8', 'the code of the first error'],
    ],
  },
  schema: {
    summary: "print the config's JSON Schema",
    about: 'Prints the JSON Schema of the config file, for editors and CI checks.',
    flags: {},
    examples: [
      { what: 'Write the schema next to the config', command: 'vault-token-sidecar schema > config.schema.json' },
    ],
  },
  dev: {
    summary: 'run a demo: an issuer, a Vault and the sidecar in memory',
    about: `Runs a demo: an OIDC issuer, a Vault and the sidecar, all in one process. Prints each login, renewal and file write, an outage of Vault and a wrong JWT, until Ctrl-C or the timeout.`,
    flags: {
      every: { value: 'DURATION', meaning: 'how often something happens', fallback: '10s' },
      ...timeout('stops after this time'),
    },
    examples: [{ what: 'Look at it for a minute', command: 'vault-token-sidecar dev --timeout 60s' }],
  },
} as const satisfies Readonly<Record<string, Description>>;
