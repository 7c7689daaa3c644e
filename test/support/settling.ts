// Waiting in tests: polls for a condition, and fails after a timeout. Tests never sleep for a fixed time instead.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

/** Resolves with the result of `look` as soon as it is neither undefined nor false. */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  limitMs = 10_000,
): Promise<T> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    assert.ok(performance.now() < deadline, `not within ${limitMs} ms: ${what}`);
    await pause(5);
  }
}

/** Resolves with the file's content as soon as it differs from `before`. */
export function untilChanged(path: string, before: string | undefined, limitMs?: number): Promise<string> {
  const look = async () => {
    const now = await readFile(path, 'utf8').catch(() => undefined);
    return now !== before && now;
  };
  return until(`${path} changes`, look, limitMs);
}
