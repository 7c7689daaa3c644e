// The problems of a config as data, and their rendering as lines.

import { withoutControls } from '../core/secret.ts';

export interface ConfigProblem {
  /** JSON Pointer (RFC 6901) of the member in the config, such as /exchanges/app/login/role */
  readonly pointer?: string;
  /** the place of a syntax error; both start at 1 */
  readonly position?: { readonly line: number; readonly column: number };
  /** the file, or the environment variable that set the value */
  readonly origin?: string;
  /** a clause to print after the key, such as "must not be empty" */
  readonly message: string;
}

/** The error for an invalid config, with all its problems. */
export class ConfigError extends Error {
  readonly problems: readonly ConfigProblem[];
  /** one printable line per problem */
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

/** Escapes a name for a JSON Pointer. */
export const escaped = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1');

/** Returns the key as the documentation writes it: exchanges.app.sinks[0].file.path. */
export function keyOf(pointer: string): string {
  const names = pointer
    .split('/')
    .slice(1)
    .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'));
  const key = names.reduce((path, name) => {
    if (/^\d+$/.test(name) && path !== 'exchanges') return `${path}[${name}]`;
    const member = /^[\w$-]+$/.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`;
    return `${path}${member}`;
  }, '');
  return key.replace(/^\./, '');
}
