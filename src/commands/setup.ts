// Prints the Vault setup of a config's exchanges as commands, JSON or HCL, or applies it.

import { ConfigError } from '../config/problem.ts';
import { isFailure } from '../core/errors.ts';
import { type ExchangeSettings, isRequested } from '../core/settings.ts';
import { decodeWorkloadJwt } from '../core/workload-jwt.ts';
import type { Io } from '../host/io.ts';
import { applySetup } from '../setup/apply.ts';
import { readCaFiles } from '../setup/ca-file.ts';
import { plannedExchanges, planProvision } from '../setup/plan.ts';
import { asHcl, asScript } from '../setup/text.ts';
import { openEnvSource } from '../sources/env.ts';
import { readJwtFile } from '../sources/file.ts';
import { asJson, type Command } from './command.ts';
import { chosenExchanges, loadSettings } from './load-settings.ts';

export const command: Command = async (flags, io) => {
  const loaded = await loadSettings(flags, io);
  const chosen = chosenExchanges(loaded.settings, flags);
  const { settings, problems: unread } = await readCaFiles(loaded.settings, chosen);
  if (unread.length > 0) throw new ConfigError(unread);
  const exchanges = plannedExchanges(chosen, settings, await jwtLives(chosen, io));
  const { steps, warnings, problems } = planProvision(exchanges);
  if (problems.length > 0) throw new ConfigError(problems.map((message) => ({ message })));
  for (const warning of warnings) io.warn(warning);
  if (flags['apply'] === true) {
    const [mayReplace, isAgreed] = [flags['replace'] === true, flags['yes'] === true];
    return applySetup(steps, exchanges, { mayReplace, isAgreed, io });
  }
  if (flags['json'] === true) io.out(asJson({ steps, warnings }));
  else io.out(flags['hcl'] === true ? asHcl(steps) : asScript(steps));
  return 0;
};

/** Returns the lifetimes, in milliseconds, of the JWTs that the sources hold now. */
async function jwtLives(exchanges: readonly ExchangeSettings[], { env }: Io): Promise<Record<string, number>> {
  const lives: Record<string, number> = {};
  for (const { name, source } of exchanges) {
    if (isRequested(source)) continue;
    const reading = source.kind === 'file' ? readJwtFile(source.path) : openEnvSource(source.name, env).read();
    const text = await reading.catch(() => undefined);
    const jwt = text === undefined ? undefined : decodeWorkloadJwt(text, {});
    if (jwt === undefined || isFailure(jwt) || jwt.expiresAt === undefined || jwt.issuedAt === undefined) continue;
    lives[name] = jwt.expiresAt - jwt.issuedAt;
  }
  return lives;
}
