// The signals that a program may be sent, as a request to reread the token or for another purpose.

export const SIGNALS = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGALRM',
  'SIGTERM',
  'SIGCONT',
  'SIGWINCH',
] as const;

export type SignalName = (typeof SIGNALS)[number];

/** Returns the signal of a name with or without "SIG", in any case; undefined if there is none. */
export function signalOf(text: string): SignalName | undefined {
  const name = text.toUpperCase().replace(/^(?:SIG)?/, 'SIG');
  return SIGNALS.find((one) => one === name);
}
