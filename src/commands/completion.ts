// Prints the completion script of a shell.

import { bashScript } from '../cli/completion-bash.ts';
import { fishScript } from '../cli/completion-fish.ts';
import { zshScript } from '../cli/completion-zsh.ts';
import { UsageError } from '../host/io.ts';
import { type Command, textFlag } from './command.ts';

const SCRIPTS: Readonly<Record<string, () => string>> = { bash: bashScript, zsh: zshScript, fish: fishScript };

export const command: Command = async (flags, io) => {
  const script = SCRIPTS[textFlag(flags, 'argument') ?? ''];
  if (script === undefined) throw new UsageError('unknown shell');
  io.out(script());
  return 0;
};
