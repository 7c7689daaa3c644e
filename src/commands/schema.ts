// Prints the config's JSON Schema.

import { configJsonSchema } from '../config/schema.ts';
import type { Command } from './command.ts';

export const command: Command = {
  help: `vault-token-sidecar schema

Prints the JSON Schema of the config file, for editors and CI checks.`,
  options: {},
  async run(_flags, io) {
    io.out(JSON.stringify(configJsonSchema(), null, 2));
    return 0;
  },
};
