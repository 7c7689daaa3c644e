// Lists the effective config values with their origins, for `validate`.

import type { Variables } from './environment.ts';
import { escaped, keyOf } from './problem.ts';

export interface Origin {
  /** such as exchanges.app.login.role */
  readonly key: string;
  readonly value: string;
  /** "file", "default", or "environment" with the variable's name */
  readonly origin: string;
}

/** @param config the values from the file and the environment */
export function originsOf(config: object, variables: Variables, defaults: readonly Origin[]): Origin[] {
  const given = leavesOf('', config).map(({ pointer, value }) => {
    const variable = variables[pointer];
    return {
      key: keyOf(pointer),
      value: withoutSecrets(pointer, value),
      origin: variable === undefined ? 'file' : `environment ${variable}`,
    };
  });
  return [...given, ...defaults].sort((a, b) => (a.key < b.key ? -1 : 1));
}

const HTTP_SOURCE = /^\/exchanges\/[^/]+\/source\/http\/(.*)$/;

/** Hides the texts of an http source that may hold credentials. */
function withoutSecrets(pointer: string, value: string): string {
  const [, member = ''] = HTTP_SOURCE.exec(pointer) ?? [];
  if (member === 'url') return value.replace(/[?#].+$/, '?(set)');
  return /^(?:body|query\/[^/]+|headers\/[^/]+)$/.test(member) ? '(set)' : value;
}

interface Leaf {
  readonly pointer: string;
  readonly value: string;
}

/** Returns the values of a config with their JSON Pointers. */
export function leavesOf(pointer: string, value: unknown): Leaf[] {
  if (pointer === '/$schema') return [];
  const isText = Array.isArray(value) && value.every((one) => typeof one === 'string');
  if (isText || typeof value !== 'object' || value === null) return [{ pointer, value: String(value) }];
  return Object.entries(value).flatMap(([name, member]) => leavesOf(`${pointer}/${escaped(name)}`, member));
}
