// Writes a config for a common scenario, and prints the Vault commands and the manifest, job or issuer commands for it.

import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseConfig } from '../config/parse.ts';
import { unprintableIn } from '../core/secret.ts';
import { UsageError } from '../host/io.ts';
import { plannedExchanges, planProvision } from '../setup/plan.ts';
import { asScript, quoted } from '../setup/text.ts';
import { CONFIG_OPTION, type Command, type Flags, textFlag } from './command.ts';
import { SCENARIOS, type Scenario } from './init-scenarios.ts';

export const command: Command = {
  help: `vault-token-sidecar init kubernetes|gitlab|vault --issuer NAME --vault-address URL [flags]

Writes a config for Kubernetes, for a GitLab CI job, or for another Vault as the issuer. Prints the commands that set up Vault,
and the pod manifest, the job, or the commands for the issuing Vault. Defaults are in parentheses.

--config FILE      the file to write (config.json)
--issuer           a URL, or a name: k8s-prod stands for https://k8s-prod.oidc.pub
--vault-address    the URL of the Vault to log in to
--role             the role to log in with
--policy           an existing policy for its tokens (by default, setup writes one that reads one secret)
--mount            the path of the JWT auth method (jwt; gitlab; the name of the issuer)
--overwrite        overwrites an existing config
kubernetes:        --namespace (default), --service-account
gitlab:            --project GROUP/PROJECT, --ref (main), --ref-type (branch)
vault:             --entity-id, --source-address (URL of the issuing Vault), --source-namespace`,
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
  },
  async run(flags, io) {
    const scenario = SCENARIOS[textFlag(flags, 'argument') ?? ''];
    if (scenario === undefined) throw new UsageError('unknown scenario');
    refuseFlagsOfOthers(scenario, flags);
    refuseUnprintable(flags);
    const file = textFlag(flags, 'config') ?? 'config.json';
    const { config, platformText } = scenario.write({
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
    io.out(`# Vault: paste this, or run "vault-token-sidecar setup --config ${quoted(file)} --apply"\n`);
    io.out(`${asScript(steps)}\n\n${platformText}`);
    io.err(
      `next:${NEXT.map((next) => `\n  vault-token-sidecar ${next.replace('FILE', () => quoted(file))}`).join('')}`,
    );
    return 0;
  },
};

const NEXT = ['setup --config FILE --apply', 'doctor --config FILE', 'run --config FILE'];

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
