// Prints the versions of the sidecar and of Node.

import { asJson, type Command } from './command.ts';

export const command: Command = async (flags, io) => {
  const { version, commit, nodeVersion } = io;
  const text = `vault-token-sidecar ${version} (commit ${commit}, node ${nodeVersion})`;
  io.out(flags['json'] === true ? asJson({ version, commit, node_version: nodeVersion }) : text);
  return 0;
};
