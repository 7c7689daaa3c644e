// Validates the config and prints the effective values with their origins. Uses no network.

import { oneLine, withoutControls } from '../core/secret.ts';
import { plannedExchanges, planProvision } from '../setup/plan.ts';
import { CONFIG_OPTION, type Command } from './command.ts';
import { loadSettings } from './load-settings.ts';
import { table } from './table.ts';

export const command: Command = {
  help: `vault-token-sidecar validate [--config FILE]

Validates the config without using the network. Prints every effective value with its origin: the file, the environment or a
default. Prints "(set)" for the texts of source.http that may hold credentials. Warns about roles in its setup that accept too
many workloads. If the config is invalid, prints one line per problem and exits with code 2.

--config FILE   the config file (by default, the environment)`,
  options: CONFIG_OPTION,
  async run(flags, io) {
    const { settings, origins } = await loadSettings(flags, io);
    io.out(table(origins().map(({ key, value, origin }) => [key, oneLine(value), origin])));
    const stated = plannedExchanges(settings.exchanges, settings).filter(({ setup }) => setup.stated);
    for (const warning of planProvision(stated).warnings) io.err(`warning: ${withoutControls(warning)}`);
    const count = settings.exchanges.length;
    io.out(`valid: ${count} exchange${count === 1 ? '' : 's'}`);
    return 0;
  },
};
