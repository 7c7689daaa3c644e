// The facts of a hook that failed, and their rendering.

export type HookFacts =
  | { readonly kind: 'hook-exit'; readonly code: number }
  | { readonly kind: 'hook-signal'; readonly signal: string }
  | { readonly kind: 'hook-timeout'; readonly limitMs: number }
  | { readonly kind: 'pid-file'; readonly path: string; readonly problem: 'not-a-pid' | 'writable-by-all' }
  | {
      readonly kind: 'process';
      /** of the pid file */
      readonly path: string;
      readonly pid: number;
      readonly problem: keyof typeof PROCESS_PROBLEMS;
    };

const PROCESS_PROBLEMS = {
  ended: 'which has ended',
  younger: 'which is younger than the file',
  'other-owner': 'which belongs to another user than the file',
  denied: 'which the sidecar may not signal',
} as const;

export function hookText(facts: HookFacts): string {
  switch (facts.kind) {
    case 'hook-exit':
      return `exit code ${facts.code}`;
    case 'hook-signal':
      return `ended by ${facts.signal}`;
    case 'hook-timeout':
      return `it ran for ${facts.limitMs / 1000} s`;
    case 'pid-file':
      return `${facts.path} ${facts.problem === 'not-a-pid' ? 'holds no process id above 1' : 'is world-writable'}`;
    case 'process':
      return `${facts.path} names process ${facts.pid}, ${PROCESS_PROBLEMS[facts.problem]}`;
  }
}
