// Prints the config's JSON Schema.

import { configJsonSchema } from '../config/schema.ts';
import { asJson, type Command } from './command.ts';

export const command: Command = async (_flags, io) => {
  io.out(asJson(configJsonSchema()));
  return 0;
};
