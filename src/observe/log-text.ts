// Renders log lines for people: what happened, to which exchange, why, and what to do.

import { lineOf } from '../core/errors.ts';
import type { LineFormat } from './log.ts';

/** Renders a line of the log as one line of text, without its time and level. */
export const asText: LineFormat = (line) => {
  const {
    time: _,
    level: __,
    event,
    exchange,
    code: ___,
    title,
    evidence,
    hint,
    reasons,
    ...others
  } = JSON.parse(line);
  const more = Object.entries(others).map(([name, value]) => `${name}=${value}`);
  const words = [
    'vault-token-sidecar',
    ...(exchange === undefined ? [] : [`exchange ${exchange}`]),
    String(event).replaceAll('_', ' '),
    ...(title === undefined ? [evidence, hint] : [lineOf({ title, evidence, hint })]),
    reasons?.join('; '),
  ].filter((one) => one !== undefined);
  return `${words.join(': ')}${more.length === 0 ? '' : ` (${more.join(', ')})`}\n`;
};
