// Helpers for tests of JWT sources.

import assert from 'node:assert/strict';
import { ExchangeError } from '../../src/core/errors.ts';
import type { JwtSource } from '../../src/sources/source.ts';
import { until } from './settling.ts';

/** Reads the source: returns the JWT, or the code of the failure. */
export const codeOf = (source: JwtSource): Promise<string> =>
  source.read().then(
    (secret) => secret.reveal(),
    (error) => {
      assert.ok(error instanceof ExchangeError);
      return error.failure.code;
    },
  );

export async function watched(source: JwtSource): Promise<void> {
  await until('the watch is set', async () => {
    await codeOf(source);
    return source.watched;
  });
}
