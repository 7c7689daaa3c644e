// Environments in which the process would leak what it holds: refused at start, with the line that says why.

/** @returns why the process must not run like this; undefined when it may */
export function unsafeEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  execArgv: readonly string[],
): string | undefined {
  if (env['NODE_TLS_REJECT_UNAUTHORIZED'] === '0')
    return 'NODE_TLS_REJECT_UNAUTHORIZED=0 turns TLS verification off: unset it, and set vault.tls.ca_file';
  if (env['SSLKEYLOGFILE']) return 'SSLKEYLOGFILE writes TLS keys to a file: unset it';
  const flags = [...execArgv, ...(env['NODE_OPTIONS'] ?? '').split(/\s+/)];
  const unsafe = flags.find((flag) => /^--(inspect|tls-keylog|heapsnapshot|heap-prof|debug)/.test(flag));
  return unsafe === undefined
    ? undefined
    : `Node's ${unsafe.split('=')[0]} would show secrets: remove it from the command or NODE_OPTIONS`;
}
