// The result of looking at something: what was seen, or the failure.

import { ExchangeError } from '../core/errors.ts';
import type { Seen } from './diagnose/evidence.ts';

/** Returns what the look resolved with, or the failure of the ExchangeError that it threw. */
export async function seen<T>(look: () => Promise<T>): Promise<Seen<T>> {
  try {
    return { seen: await look() };
  } catch (error) {
    if (error instanceof ExchangeError) return { failure: error.failure };
    throw error;
  }
}
