// Names of things in Vault that become part of a URL's path or of a header.

import type { Notes } from './notes.ts';

/** As Vault takes it: https://github.com/hashicorp/vault/blob/main/sdk/framework/path.go, GenericNameRegex */
export const ROLE_NAME = /^\w(?:[\w.-]*\w)?$/;

/** A URL's parser resolves such segments, so the request would go to another path. */
export const hasDotSegment = (path: string): boolean => path.split('/').some((segment) => /^\.\.?$/.test(segment));

/** It travels in a header, which carries ASCII. */
export function checkNamespace(pointer: string, namespace: string | undefined, { problems }: Notes): void {
  if (namespace === undefined) return;
  if (!/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(namespace))
    problems.push({
      pointer,
      message: 'must be a namespace\'s path in ASCII, without spaces at its ends, such as "team-a/dev"',
    });
  else if (hasDotSegment(namespace)) problems.push({ pointer, message: 'must not have "." or ".." between slashes' });
}
