// Writes a config for a common scenario, and prints the Vault commands and the manifest, job or issuer commands for it.

import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseConfig } from '../config/parse.ts';
import { unprintableIn } from '../core/secret.ts';
import { UsageError } from '../host/io.ts';
import type { Scenario } from '../init/scenario.ts';
import { SCENARIOS } from '../init/scenarios.ts';
import { plannedExchanges, planProvision } from '../setup/plan.ts';
import { asScript, quoted } from '../setup/text.ts';
import { CONFIG_OPTION, type Command, type Flags, textFlag } from './command.ts';

export const command: Command = {
  help: `vault-token-sidecar init SCENARIO --vault-address URL [flags]

Writes a config for a common kind of workload. Prints the commands that set up Vault, and what the platform needs: the settings
of the issuer, the commands that publish it at oidc.pub, and a pod manifest, a CI job or a systemd unit.

kubernetes   a pod
gitlab       a job of GitLab CI
vault        another Vault is the issuer
github       a job of GitHub Actions or Forgejo Actions
gce          a VM of Google Compute Engine
azure        a VM of Azure with a managed identity

Defaults are in parentheses.

--config FILE      the file to write (config.json)
--issuer           a URL, or a name: k8s-prod stands for https://k8s-prod.oidc.pub; github, gce and azure have defaults
--vault-address    the URL of the Vault to log in to
--role             the role to log in with
--policy           an existing policy for its tokens (by default, setup writes one that reads one secret)
--mount            the path of the JWT auth method (jwt; the name of the scenario; the name of the issuing Vault)
--overwrite        overwrites an existing config
kubernetes:        --namespace (default), --service-account
gitlab:            --project GROUP/PROJECT, --ref (main), --ref-type (branch)
vault:             --entity-id, --source-address (URL of the issuing Vault), --source-namespace
github:            --repository OWNER/REPO, --ref (main) or --environment, --audience (vault)
gce:               --service-account-id (the unique id, a number), --audience (vault)
azure:             --tenant-id or --issuer, --principal-id (the object id of the identity), --audience (an application ID URI)`,
  argument: Object.keys(SCENARIOS),
  options: {
    ...CONFIG_OPTION,
    issuer: { type: 'string' },
    'vault-address': { type: 'string' },
    role: { type: 'string' },
    policy: { type: 'string' },
    mount: { type: 'string' },
    overwrite: { type: 'boolean' },
    namespace: { type: 'string' },
    'service-account': { type: 'string' },
    project: { type: 'string' },
    ref: { type: 'string' },
    'ref-type': { type: 'string' },
    'entity-id': { type: 'string' },
    'source-address': { type: 'string' },
    'source-namespace': { type: 'string' },
    repository: { type: 'string' },
    environment: { type: 'string' },
    audience: { type: 'string' },
    'service-account-id': { type: 'string' },
    'tenant-id': { type: 'string' },
    'principal-id': { type: 'string' },
  },
  async run(flags, io) {
    const scenario = SCENARIOS[textFlag(flags, 'argument') ?? ''];
    if (scenario === undefined) throw new UsageError('unknown scenario');
    refuseFlagsOfOthers(scenario, flags);
    refuseUnprintable(flags);
    const file = textFlag(flags, 'config') ?? 'config.json';
    const {
      config,
      issuerText,
      workloadText,
      next = ['doctor', 'run'].map((name) => commandLine(name, file)),
    } = scenario.write({
      file,
      version: io.version,
      required(name) {
        const value = textFlag(flags, name);
        if (value === undefined) throw new UsageError(`init ${flags['argument']} needs --${name}`);
        return value;
      },
      optional: (name, fallback) => textFlag(flags, name) ?? fallback,
    });
    const text = `${JSON.stringify(config, undefined, 2)}\n`;
    // Parsing validates the flags: an error names the config key that a flag set.
    const { settings } = parseConfig(text, { fileName: file, env: {} });
    const { steps, warnings } = planProvision(plannedExchanges(settings.exchanges, settings));
    await writeConfig(file, text, flags['overwrite'] === true);
    io.err(`wrote ${resolve(file)}`);
    for (const warning of warnings) io.err(`warning: ${warning}`);
    const apply = commandLine('setup', file, ' --apply');
    const vaultText = `# Vault: paste this, or run "${apply}"\n\n${asScript(steps)}`;
    io.out([issuerText, vaultText, workloadText].filter((text) => text !== undefined).join('\n\n'));
    io.err(['next:', apply, ...next].join('\n  '));
    return 0;
  },
};

const commandLine = (name: string, file: string, flags = ''): string =>
  `vault-token-sidecar ${name} --config ${quoted(file)}${flags}`;

function refuseFlagsOfOthers(scenario: Scenario, flags: Flags): void {
  const others = Object.values(SCENARIOS).flatMap(({ flags: own }) => own);
  const stray = others.find((name) => !scenario.flags.includes(name) && flags[name] !== undefined);
  if (stray !== undefined) throw new UsageError(`init ${flags['argument']} has no --${stray}`);
}

/** Rejects unprintable characters in flags, as users paste the printed commands and manifests. @throws UsageError */
function refuseUnprintable(flags: Flags): void {
  for (const [name, value] of Object.entries(flags)) {
    const found = typeof value === 'string' ? unprintableIn(value) : undefined;
    if (found !== undefined) throw new UsageError(`--${name} contains an unprintable character (${found})`);
  }
}

async function writeConfig(file: string, text: string, force: boolean): Promise<void> {
  await writeFile(file, text, { flag: force ? 'w' : 'wx', mode: 0o644 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EEXIST') throw new UsageError(`${file} already exists: --overwrite replaces it`);
    throw new UsageError(`${file} can't be written (${error.code})`);
  });
}
