// Validates the config and prints the effective values with their origins. Uses no network.

import type { ParsedConfig } from '../config/parse.ts';
import { ConfigError, type ConfigProblem, keyOf } from '../config/problem.ts';
import { EXIT_CODES } from '../core/errors.ts';
import { linesWithoutControls, oneLine, withoutControls } from '../core/secret.ts';
import { plannedExchanges, planProvision } from '../setup/plan.ts';
import { asJson, type Command } from './command.ts';
import { loadSettings } from './load-settings.ts';
import { table } from './table.ts';

export const command: Command = async (flags, io) => {
  if (flags['json'] !== true) {
    const { settings, origins } = await loadSettings(flags, io);
    io.out(table(origins().map(({ key, value, origin }) => [key, oneLine(value), origin])));
    for (const warning of setupWarnings({ settings })) io.warn(warning);
    const count = settings.exchanges.length;
    io.out(`valid: ${count} exchange${count === 1 ? '' : 's'}`);
    return 0;
  }
  const warnings: string[] = [];
  const print = (result: object) => io.out(linesWithoutControls(asJson(result)));
  try {
    const loaded = await loadSettings(flags, { ...io, warn: (text) => void warnings.push(text) });
    print({ valid: true, values: loaded.origins(), warnings: [...warnings, ...setupWarnings(loaded)], problems: [] });
    return 0;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    print({ valid: false, values: [], warnings, problems: error.problems.map(problemReply) });
    return EXIT_CODES.config;
  }
};

function setupWarnings({ settings }: Pick<ParsedConfig, 'settings'>): readonly string[] {
  const stated = plannedExchanges(settings.exchanges, settings).filter(({ setup }) => setup.stated);
  return planProvision(stated).warnings.map(withoutControls);
}

const problemReply = ({ origin, pointer, position, message }: ConfigProblem) => ({
  origin,
  key: pointer === undefined || pointer === '' ? undefined : keyOf(pointer),
  ...position,
  message,
});
