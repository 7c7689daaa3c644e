// The secret that clients of the token API must show, from api.caller_token_file. The file is read again for each request,
// so that the secret can be rotated; while it can't be read, no client gets in.

import type { Failure } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import {
  type FileProblem,
  fileProblemText,
  isFileProblem,
  readSmallFile,
  type SmallFile,
} from '../files/small-file.ts';

/** Reads the secret, or says why there is none. Never rejects. */
export type CallerToken = () => Promise<Secret | Failure>;

export interface CallerTokenOptions {
  /** milliseconds on any steady clock */
  readonly now: () => number;
  /** called after each reading; undefined where it succeeded */
  readonly onRead: (failure: Failure | undefined) => void;
}

/** well below the deadline of a client, which then gets its 401 */
const DEADLINE_MS = 1000;
/** Requests don't wait for a file that hung within this time: they would take the places of others. */
const HOLD_OFF_MS = 1000;

export function openCallerToken(path: string, { now, onRead }: CallerTokenOptions): CallerToken {
  let hung: { readonly failure: Failure; readonly until: number } | undefined;
  return async () => {
    if (hung !== undefined && now() < hung.until) return hung.failure;
    const outcome = await readSmallFile(path, { deadlineMs: DEADLINE_MS });
    const judged = judge(path, outcome);
    const failure = judged instanceof Secret ? undefined : judged;
    const isHung = isFileProblem(outcome) && outcome.problem === 'stuck';
    hung = isHung && failure !== undefined ? { failure, until: now() + HOLD_OFF_MS } : undefined;
    onRead(failure);
    return judged;
  };
}

/** Reads the secret once, for a client or for doctor. */
export const readCallerToken = async (path: string): Promise<Secret | Failure> =>
  judge(path, await readSmallFile(path, { deadlineMs: DEADLINE_MS }));

function judge(path: string, outcome: SmallFile | FileProblem): Secret | Failure {
  const because = (problem: string): Failure => ({ code: 'caller_token_unusable', evidence: `${path} (${problem})` });
  if (isFileProblem(outcome)) return because(fileProblemText(outcome));
  const text = outcome.text.trim();
  return text === '' ? because('empty') : new Secret(text);
}
