// Prints what Vault needs for the exchanges of a config, as commands, JSON or HCL; or applies it.

import { ConfigError } from '../config/problem.ts';
import { isFailure } from '../core/errors.ts';
import { withoutControls } from '../core/secret.ts';
import type { ExchangeSettings } from '../core/settings.ts';
import { decodeWorkloadJwt } from '../core/workload-jwt.ts';
import type { Io } from '../host/io.ts';
import { applySetup } from '../setup/apply.ts';
import { plannedExchanges, planProvision } from '../setup/plan.ts';
import { asHcl, asScript } from '../setup/text.ts';
import { openEnvSource } from '../sources/env.ts';
import { readJwtFile } from '../sources/file.ts';
import { CONFIG_OPTION, type Command } from './command.ts';
import { chosenExchanges, loadSettings } from './load-settings.ts';

export const command: Command = {
  help: `vault-token-sidecar setup [--config FILE] [--exchange E] [--json | --hcl | --apply [--yes] [--replace]]

Prints the vault commands that make Vault ready for the exchanges: mount, trust config, policies, role.
--json      the same as JSON
--hcl       the same for Terraform's vault provider
--apply     shows what would change in Vault, asks, and does it, with the token in VAULT_TOKEN or ~/.vault-token; never deletes
--yes       doesn't ask
--replace   may point a mount at another issuer than it has`,
  options: {
    ...CONFIG_OPTION,
    exchange: { type: 'string' },
    json: { type: 'boolean' },
    hcl: { type: 'boolean' },
    apply: { type: 'boolean' },
    yes: { type: 'boolean', short: 'y' },
    replace: { type: 'boolean' },
  },
  async run(flags, io) {
    const { settings } = await loadSettings(flags, io);
    const chosen = chosenExchanges(settings, flags);
    const exchanges = plannedExchanges(chosen, settings, await jwtLives(chosen, io));
    const { steps, warnings, problems } = planProvision(exchanges);
    if (problems.length > 0) throw new ConfigError(problems.map((message) => ({ message })));
    for (const warning of warnings) io.err(`warning: ${withoutControls(warning)}`);
    if (flags['apply'] === true) {
      const [mayReplace, isAgreed] = [flags['replace'] === true, flags['yes'] === true];
      return applySetup(steps, exchanges, { mayReplace, isAgreed, io });
    }
    if (flags['json'] === true) io.out(JSON.stringify({ steps, warnings }, undefined, 2));
    else io.out(flags['hcl'] === true ? asHcl(steps) : asScript(steps));
    return 0;
  },
};

/** Of the JWTs that are here already. */
async function jwtLives(exchanges: readonly ExchangeSettings[], { env }: Io): Promise<Record<string, number>> {
  const lives: Record<string, number> = {};
  for (const { name, source } of exchanges) {
    if (source.kind === 'vault-identity') continue;
    const reading = source.kind === 'file' ? readJwtFile(source.path) : openEnvSource(source.name, env).read();
    const text = await reading.catch(() => undefined);
    const jwt = text === undefined ? undefined : decodeWorkloadJwt(text, {});
    if (jwt === undefined || isFailure(jwt) || jwt.expiresAt === undefined || jwt.issuedAt === undefined) continue;
    lives[name] = jwt.expiresAt - jwt.issuedAt;
  }
  return lives;
}
