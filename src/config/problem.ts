// What is wrong with a config, as data until it is printed.

import { withoutControls } from '../core/secret.ts';

export interface ConfigProblem {
  /** JSON Pointer (RFC 6901) of the member in the config, such as /exchanges/app/login/role */
  readonly pointer?: string;
  /** where the text can't be parsed, both from 1 */
  readonly position?: { readonly line: number; readonly column: number };
  /** the file, or the environment variable that gave the value */
  readonly origin?: string;
  /** a clause that goes on after the member's key */
  readonly message: string;
}

/** The config can't be used. */
export class ConfigError extends Error {
  readonly problems: readonly ConfigProblem[];
  /** one line for each problem, safe to show */
  readonly lines: readonly string[];

  constructor(problems: readonly ConfigProblem[]) {
    const lines = problems.map(lineOf);
    super(lines.join('; '));
    this.name = 'ConfigError';
    this.problems = problems;
    this.lines = lines;
  }
}

function lineOf({ pointer, position, origin, message }: ConfigProblem): string {
  const place = position === undefined ? [origin] : [`${origin}:${position.line}:${position.column}`];
  const key = pointer === undefined || pointer === '' ? undefined : keyOf(pointer);
  return withoutControls([...place, key, message].filter((part) => part !== undefined).join(': '));
}

/** Returns the key as the documentation writes it: exchanges.app.sinks[0].file.path. */
export function keyOf(pointer: string): string {
  const names = pointer.split('/').slice(1);
  const key = names.reduce((path, name) => {
    if (/^\d+$/.test(name)) return `${path}[${name}]`;
    const member = /^[\w$-]+$/.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`;
    return `${path}${member}`;
  }, '');
  return key.replace(/^\./, '');
}
