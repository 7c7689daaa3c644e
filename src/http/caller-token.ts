// The secret that clients of the token API must show, from api.caller_token_file. The file is read again for each request,
// so that the secret can be rotated; while it can't be read, no client gets in.

import type { Failure } from '../core/errors.ts';
import type { Facts } from '../core/facts.ts';
import { Secret } from '../core/secret.ts';
import { type FileProblem, isFileProblem, readSmallFile, type SmallFile } from '../files/small-file.ts';

/** Reads the secret, or says why there is none. Never rejects. */
export type CallerToken = () => Promise<Secret | Failure>;

/** Well below the deadline of a client, which then gets its 401. While a read hangs beyond it, later ones fail at once. */
const DEADLINE_MS = 1000;

/** @param onRead called after each reading, with undefined where it succeeded */
export function openCallerToken(path: string, onRead: (failure: Failure | undefined) => void): CallerToken {
  return async () => {
    const outcome = await readCallerToken(path);
    onRead(outcome instanceof Secret ? undefined : outcome);
    return outcome;
  };
}

/** Reads the secret once, for a client or for doctor. */
export const readCallerToken = async (path: string): Promise<Secret | Failure> =>
  judge(path, await readSmallFile(path, { deadlineMs: DEADLINE_MS }));

function judge(path: string, outcome: SmallFile | FileProblem): Secret | Failure {
  const because = (problem: Omit<Extract<Facts, { kind: 'file' }>, 'kind' | 'path'>): Failure => ({
    code: 'caller_token_unusable',
    facts: { kind: 'file', path, ...problem },
  });
  if (isFileProblem(outcome)) return because(outcome);
  const text = outcome.text.trim();
  return text === '' ? because({ problem: 'empty' }) : new Secret(text);
}
