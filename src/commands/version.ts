// Prints the versions of the sidecar and of Node.

import type { Command } from './command.ts';

export const command: Command = {
  help: `vault-token-sidecar version

Prints the versions of the sidecar and of Node.`,
  options: {},
  async run(_flags, io) {
    io.out(`vault-token-sidecar ${io.version} (node ${io.nodeVersion})`);
    return 0;
  },
};
