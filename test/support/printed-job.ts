// The CI jobs that `init` prints as comments, parsed as their systems parse them.

import { parseYaml } from './yaml.ts';

export interface PrintedJob {
  readonly image: string;
  readonly environment: string;
  readonly permissions: unknown;
  readonly id_tokens: { readonly VAULT_ID_TOKEN: { readonly aud: string } };
  readonly variables: Readonly<Record<string, string>>;
  /** of GitLab CI */
  readonly script?: readonly string[];
  /** of GitHub Actions */
  readonly steps: readonly { readonly uses?: string; readonly run?: string }[];
}

/** Returns the job for the workload; members of another CI system are missing. */
export const printedJob = (printed: string): PrintedJob =>
  (parseYaml(commentsOf(printed)) as { deploy: PrintedJob }).deploy;

function commentsOf(printed: string): string {
  const [, comments = ''] = printed.split(/^# the workload: a job .*\n/m);
  return comments.replaceAll(/^# ?/gm, '');
}
