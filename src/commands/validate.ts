// Checks the config and prints what it means and where each value came from; touches no network.

import { oneLine, withoutControls } from '../core/secret.ts';
import { plannedExchanges, planProvision } from '../setup/plan.ts';
import { CONFIG_OPTION, type Command } from './command.ts';
import { loadSettings } from './load-settings.ts';
import { table } from './table.ts';

export const command: Command = {
  help: `vault-token-sidecar validate [--config FILE]

Checks the config; prints every value in force and where it came from, and warns of roles in its setup that trust too much.
Exit code 2 and one line a problem otherwise.`,
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
