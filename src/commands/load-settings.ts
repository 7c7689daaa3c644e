// Loads the settings from the file that --config names, or else from the environment.

import { basename } from 'node:path';
import { configFromEnvironment, type ParsedConfig, parseConfig } from '../config/parse.ts';
import { ConfigError } from '../config/problem.ts';
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
export async function loadSettings(flags: Flags, { env }: Io, { needsSink = true } = {}): Promise<ParsedConfig> {
  const path = textFlag(flags, 'config');
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
      { message: `can't read ${evidenceText({ kind: 'file', path, ...file })}; --config names the config file` },
    ]);
  return parseConfig(file.text, { fileName: basename(path), env });
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
