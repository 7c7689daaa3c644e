// Loads the settings from the file that --config or VTS_CONFIG names, or else from the environment.

import { basename } from 'node:path';
import { environmentWarnings } from '../config/environment-warnings.ts';
import { configFromEnvironment, type ParsedConfig, parseConfig } from '../config/parse.ts';
import { ConfigError } from '../config/problem.ts';
import { CONFIG_VARIABLE } from '../config/variables.ts';
import { evidenceText } from '../core/facts.ts';
import type { ExchangeSettings, Settings } from '../core/settings.ts';
import { isFileProblem, readSmallFile } from '../files/small-file.ts';
import { type Io, UsageError } from '../host/io.ts';
import { type Flags, textFlag } from './command.ts';

/** The size limit of the config: enough for thousands of exchanges. */
const MOST_BYTES = 4 * 1024 * 1024;

/** The name that `init` gives to a config. */
const USUAL_NAME = 'config.json';

/**
 * @param needsSink whether an exchange from the environment must have a sink; true by default
 * @throws ConfigError with all problems
 */
export async function loadSettings(flags: Flags, io: Io, { needsSink = true } = {}): Promise<ParsedConfig> {
  const { env } = io;
  const path = configPath(flags, io);
  warnOfVariables(flags, io);
  if (path === undefined) {
    try {
      return configFromEnvironment(env, { needsSink });
    } catch (error) {
      if (!(error instanceof ConfigError) || isFileProblem(await readSmallFile(USUAL_NAME))) throw error;
      const message = `is in this directory: use it with --config ${USUAL_NAME}`;
      throw new ConfigError([...error.problems, { origin: USUAL_NAME, message }]);
    }
  }
  const file = await readSmallFile(path, { mostBytes: MOST_BYTES });
  if (isFileProblem(file))
    throw new ConfigError([
      {
        message: `can't read ${evidenceText({ kind: 'file', path, ...file })}; ${textFlag(flags, 'config') ? '--config' : CONFIG_VARIABLE} names the config file`,
      },
    ]);
  return parseConfig(file.text, { fileName: basename(path), env });
}

/** Returns the path of the config file; undefined if the environment is the config. */
export const configPath = (flags: Flags, { env }: Io): string | undefined =>
  textFlag(flags, 'config') ?? (env[CONFIG_VARIABLE] || undefined);

/** Warns of variables that the sidecar ignores. */
export function warnOfVariables(flags: Flags, io: Io): void {
  for (const warning of environmentWarnings(io.env, configPath(flags, io))) io.warn(warning);
}

/** Returns all exchanges, or the one that `--exchange` names. @throws UsageError */
export function chosenExchanges({ exchanges }: Settings, flags: Flags): readonly ExchangeSettings[] {
  const name = textFlag(flags, 'exchange');
  if (name === undefined) return exchanges;
  const chosen = exchanges.filter((one) => one.name === name);
  if (chosen.length === 0)
    throw new UsageError(`--exchange must be one of ${exchanges.map((one) => one.name).join(', ')}`);
  return chosen;
}
