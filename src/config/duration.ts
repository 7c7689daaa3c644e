// Parses durations: Go-style text ("90s", "1h30m", "500ms") or whole seconds.

import type { InvalidValue } from './address.ts';

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const WHOLE = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/;
const PART = /(\d+(?:\.\d+)?)(ms|s|m|h)/g;
const TEN_YEARS_MS = 10 * 365 * 86_400_000;

/** @returns milliseconds, or the reason why the value is invalid */
export function parseDuration(value: string | number): number | InvalidValue {
  const ms = typeof value === 'number' ? value * 1000 : parseText(value);
  if (ms === undefined) return { invalid: 'must be a duration such as "90s" or "1h30m", or whole seconds' };
  if (!(ms > 0)) return { invalid: 'must be longer than zero' };
  if (ms > TEN_YEARS_MS) return { invalid: 'must be at most 10 years' };
  return ms;
}

function parseText(text: string): number | undefined {
  if (!WHOLE.test(text)) return undefined;
  return [...text.matchAll(PART)].reduce((sum, [, count, unit]) => sum + Number(count) * (UNITS[unit ?? ''] ?? 0), 0);
}
