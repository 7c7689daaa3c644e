// The interface between commands and the process: only main.ts reads the environment, writes the output of commands, or exits.

export interface Io {
  readonly env: Environment;
  /** returns what a child process inherits: the umask and the environment from before main.ts changed them */
  inherited(): { readonly umask: number; readonly env: Environment };
  /** standard output is a terminal */
  readonly isTty: boolean;
  readonly version: string;
  /** the commit that the program was built from, or "unknown" */
  readonly commit: string;
  readonly nodeVersion: string;
  /** Asks a question at the terminal; resolves to undefined if there is none. */
  ask(question: string): Promise<string | undefined>;
  /** Prints a text, then `end`: a newline by default. */
  out(text: string, end?: ''): void;
  err(text: string): void;
  /** Prints a warning to stderr, unless it has been printed before. */
  warn(text: string): void;
  /** Shows a line on stderr in place of the previous one, if stderr is a terminal. An empty text removes the line. */
  progress(text: string): void;
  onSignal(signal: CaughtSignal, handler: () => void): void;
  /** Registers a handler for uncaught errors; the process ends after it. */
  onCrash(handler: (error: unknown) => void): void;
  /** Ends the process at once. */
  exit(code: number): void;
  /** Ends the process by its signal. Returns if the signal is ignored, as by the first process of a container. */
  endBySignal(signal: CaughtSignal): void;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The signals that the program handles. SIGUSR1 isn't among them, as Node blocks it with --disable-sigusr1. */
export type CaughtSignal = 'SIGTERM' | 'SIGINT' | 'SIGHUP' | 'SIGQUIT' | 'SIGUSR2' | 'SIGWINCH';

/** A mistake on the command line: one line on stderr, exit code 2. */
export class UsageError extends Error {}
