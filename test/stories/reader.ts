// A client that reads the token again when half of the lease has passed, and not before.

import type { World } from '../support/world.ts';

export interface Reader {
  /** when the reader held a token that Vault no longer knew */
  readonly dead: readonly string[];
  readonly readings: number;
}

/** Starts to read the token of a world, whose Vault and lease it looks at only to judge. */
export function openReader(world: World): Reader {
  const dead: string[] = [];
  const reader = { dead, readings: 0 };
  read();
  return reader;

  function read(): void {
    reader.readings += 1;
    const held = world.file;
    const leaseMs = world.state.token?.firstLeaseMs ?? world.vault.ttlMs;
    world.at(world.now + leaseMs / 2, () => {
      if (held === undefined || !world.vault.isAlive(held, world.now)) dead.push(`dead at ${world.now}`);
      read();
    });
  }
}
