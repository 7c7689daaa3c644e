// The caller token: the secret in api.caller_token_file that clients of the token API must send. The file is read for each
// request, so that the secret can be rotated. While it can't be read, every client gets 401.

import type { Failure } from '../core/errors.ts';
import type { Facts } from '../core/facts.ts';
import { Secret } from '../core/secret.ts';
import { type FileProblem, isFileProblem, readSmallFile, type SmallFile } from '../files/small-file.ts';

/** Resolves to the secret, or to the failure to read it. Never rejects. */
export type CallerToken = () => Promise<Secret | Failure>;

/** Well below a client's deadline, so that the client still gets its 401. While a read hangs for longer, new reads fail at once. */
const DEADLINE_MS = 1000;

/** @param onRead called after each read, with undefined if it succeeded */
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
