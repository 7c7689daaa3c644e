// Writes a config for a common scenario, and prints the Vault commands and the manifest, job or issuer commands for it.

import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseConfig } from '../config/parse.ts';
import { unprintableIn } from '../core/secret.ts';
import { UsageError } from '../host/io.ts';
import { SCENARIOS } from '../init/scenarios.ts';
import { plannedExchanges, planProvision } from '../setup/plan.ts';
import { asScript, quoted } from '../setup/text.ts';
import { type Command, type Flags, textFlag } from './command.ts';

export const command: Command = async (flags, io) => {
  const scenario = SCENARIOS[textFlag(flags, 'argument') ?? ''];
  if (scenario === undefined) throw new UsageError('unknown scenario');
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
  for (const warning of warnings) io.warn(warning);
  const apply = commandLine('setup', file, ' --apply');
  const vaultText = `# Vault: paste this, or run "${apply}"\n\n${asScript(steps)}`;
  io.out([issuerText, vaultText, workloadText].filter((text) => text !== undefined).join('\n\n'));
  for (const line of ['next:', ...[apply, ...next].map((step) => `  ${step}`)]) io.err(line);
  return 0;
};

const commandLine = (name: string, file: string, flags = ''): string =>
  `vault-token-sidecar ${name} --config ${quoted(file)}${flags}`;

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
