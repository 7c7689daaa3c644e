// What the program gets from the process that runs it. Only main.ts touches the process itself.

export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** standard output is a terminal that a person looks at */
  readonly isTty: boolean;
  readonly version: string;
  readonly nodeVersion: string;
  /** Asks the person at the terminal; undefined where there is none. */
  ask(question: string): Promise<string | undefined>;
  out(text: string): void;
  err(text: string): void;
  onSignal(signal: 'SIGTERM' | 'SIGINT' | 'SIGHUP' | 'SIGUSR2', handler: () => void): void;
  /** called with what nobody caught; the process ends after it */
  onCrash(handler: (error: unknown) => void): void;
  /** ends the process at once */
  exit(code: number): void;
}

/** A mistake on the command line: one line on stderr, exit code 2. */
export class UsageError extends Error {}
