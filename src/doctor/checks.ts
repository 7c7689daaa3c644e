// Runs doctor's checks. A check that throws or never ends appears in the report, as its subject is unknown rather than healthy.

import { scrub } from '../core/secret.ts';

export interface Checks {
  /** Runs a check. Resolves when it ends; never rejects. */
  run(name: string, check: () => Promise<unknown>): Promise<void>;
  /** one message per check that threw */
  broken(): readonly string[];
  /** the names of the checks that are still running */
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
        broken.push(`the check of ${name} failed: ${wordsOf(error)}`);
      } finally {
        running.delete(name);
      }
    },
    broken: () => [...broken],
    unfinished: () => [...running],
  };
}

/** Returns the message of a thrown value, scrubbed: a library's message may quote its input. */
export function wordsOf(error: unknown): string {
  if (error instanceof Error) return scrub(`${error.name}: ${error.message}`);
  return typeof error === 'string' ? scrub(error) : 'not an error';
}
