// The checks under way. A check that throws what it shouldn't, or never ends, must show in the report: what it would have
// found is unknown, which isn't the same as well.

import { scrub } from '../core/secret.ts';

export interface Checks {
  /** Runs a check. Resolves when it ends; never rejects. */
  run(name: string, check: () => Promise<unknown>): Promise<void>;
  /** what the checks that threw said */
  broken(): readonly string[];
  /** the names of the checks that haven't ended */
  unfinished(): readonly string[];
}

export function openChecks(): Checks {
  const broken: string[] = [];
  const running = new Set<string>();
  return {
    async run(name, check) {
      running.add(name);
      try {
        await check();
      } catch (error) {
        broken.push(`the check of ${name} broke off: ${wordsOf(error)}`);
      } finally {
        running.delete(name);
      }
    },
    broken: () => [...broken],
    unfinished: () => [...running],
  };
}

/** The text of anything that can be thrown; a library's message may quote what it was given. */
export function wordsOf(error: unknown): string {
  if (error instanceof Error) return scrub(`${error.name}: ${error.message}`);
  return typeof error === 'string' ? scrub(error) : 'not an error';
}
