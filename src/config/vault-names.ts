// Checks names that become part of a URL path or a header of a Vault request.

import type { Notes } from './notes.ts';

/** Vault's pattern for names: https://github.com/hashicorp/vault/blob/main/sdk/framework/path.go, GenericNameRegex */
export const ROLE_NAME = /^\w(?:[\w.-]*\w)?$/;

/** Reports whether the path has a dot segment. URL parsers resolve those, so the request would go to another path. */
export const hasDotSegment = (path: string): boolean => path.split('/').some((segment) => /^\.\.?$/.test(segment));

/** Checks a namespace, which is sent in a header and so must be ASCII. */
export function checkNamespace(pointer: string, namespace: string | undefined, { problems }: Notes): void {
  if (namespace === undefined) return;
  if (!/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(namespace))
    problems.push({
      pointer,
      message: 'must be a namespace path in ASCII without leading or trailing spaces, such as "team-a/dev"',
    });
  else if (hasDotSegment(namespace))
    problems.push({ pointer, message: 'must not contain "." or ".." as a path segment' });
}
