// Writes a config for one of the usual ways to a workload JWT, and prints what goes with it: what Vault needs, and the
// manifest, the job or the commands of the issuer's side.

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

Writes a config (--config, config.json unless said otherwise) and prints what Vault and the platform need to go with it.
--issuer           k8s-prod for https://k8s-prod.oidc.pub, or a URL
--vault-address    the Vault to log in to
--role, --policy   the role to log in to, and the policy of its tokens
--mount            the path of the auth method (jwt)
--force            overwrites the config
kubernetes:        --namespace (default), --service-account
gitlab:            --project GROUP/PROJECT, --ref (main), --ref-type (branch)
vault:             --entity-id, and --source-address, the Vault that issues`,
  argument: Object.keys(SCENARIOS),
  options: {
    ...CONFIG_OPTION,
    issuer: { type: 'string' },
    'vault-address': { type: 'string' },
    role: { type: 'string' },
    policy: { type: 'string' },
    mount: { type: 'string' },
    force: { type: 'boolean' },
    namespace: { type: 'string' },
    'service-account': { type: 'string' },
    project: { type: 'string' },
    ref: { type: 'string' },
    'ref-type': { type: 'string' },
    'entity-id': { type: 'string' },
    'source-address': { type: 'string' },
  },
  async run(flags, io) {
    const scenario = SCENARIOS[textFlag(flags, 'argument') ?? ''];
    if (scenario === undefined) throw new UsageError('no such scenario');
    refuseFlagsOfOthers(scenario, flags);
    refuseUnprintable(flags);
    const file = textFlag(flags, 'config') ?? 'config.json';
    const { config, beside } = scenario.write({
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
    // what a flag made wrong is told by the place that it went to
    const { settings } = parseConfig(text, { fileName: file, env: {} });
    const { steps, warnings } = planProvision(plannedExchanges(settings.exchanges, settings));
    await writeConfig(file, text, flags['force'] === true);
    io.err(`wrote ${resolve(file)}`);
    for (const warning of warnings) io.err(`warning: ${warning}`);
    io.out(`# Vault: paste this, or run "vault-token-sidecar setup --config ${quoted(file)} --apply"\n`);
    io.out(`${asScript(steps)}\n\n${beside}`);
    return 0;
  },
};

function refuseFlagsOfOthers(scenario: Scenario, flags: Flags): void {
  const others = Object.values(SCENARIOS).flatMap(({ flags: own }) => own);
  const stray = others.find((name) => !scenario.flags.includes(name) && flags[name] !== undefined);
  if (stray !== undefined) throw new UsageError(`init ${flags['argument']} has no --${stray}`);
}

/** A flag becomes part of commands and manifests that are pasted. */
function refuseUnprintable(flags: Flags): void {
  for (const [name, value] of Object.entries(flags)) {
    const found = typeof value === 'string' ? unprintableIn(value) : undefined;
    if (found !== undefined) throw new UsageError(`--${name} holds an unprintable character (${found})`);
  }
}

async function writeConfig(file: string, text: string, force: boolean): Promise<void> {
  await writeFile(file, text, { flag: force ? 'w' : 'wx', mode: 0o644 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EEXIST') throw new UsageError(`${file} is there already: --force overwrites it`);
    throw new UsageError(`${file} can't be written (${error.code})`);
  });
}
