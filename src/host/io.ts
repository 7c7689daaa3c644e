// The interface between commands and the process. Only main.ts touches the process itself.

export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** standard output is a terminal */
  readonly isTty: boolean;
  readonly version: string;
  readonly nodeVersion: string;
  /** Asks a question at the terminal; resolves to undefined if there is none. */
  ask(question: string): Promise<string | undefined>;
  out(text: string): void;
  err(text: string): void;
  onSignal(signal: 'SIGTERM' | 'SIGINT' | 'SIGHUP' | 'SIGUSR2', handler: () => void): void;
  /** Registers a handler for uncaught errors; the process ends after it. */
  onCrash(handler: (error: unknown) => void): void;
  /** Ends the process at once. */
  exit(code: number): void;
}

/** A mistake on the command line: one line on stderr, exit code 2. */
export class UsageError extends Error {}
