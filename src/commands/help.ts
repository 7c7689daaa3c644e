// Prints the help of a command, or the overview.

import { isCommand } from '../cli/commands.ts';
import { helpOf, overview } from '../cli/help.ts';
import { type Command, textFlag } from './command.ts';

export const command: Command = async (flags, io) => {
  const name = textFlag(flags, 'argument') ?? '';
  io.out(isCommand(name) ? helpOf(name) : overview());
  return 0;
};
