// Refuses to start where Node itself would expose what the process holds: a debugger, a preloaded module, a heap dump, a
// report, a key log. Node gains such flags with every release, so harmless flags are listed, not harmful ones.

export interface Start {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Node's own flags on the command line */
  readonly execArgv: readonly string[];
  /** the address of Node's debugger while it listens */
  readonly debuggerUrl: () => string | undefined;
}

/** What each variable does. A value of its own is named where only that value is refused. */
const REFUSED_VARIABLES: Readonly<Record<string, string>> = {
  'NODE_TLS_REJECT_UNAUTHORIZED=0': 'turns TLS verification off: unset it, and set vault.tls.ca_file',
  SSLKEYLOGFILE: 'writes TLS keys to a file: unset it',
  NODE_DEBUG: 'prints the internals of requests: unset it',
  NODE_DEBUG_NATIVE: 'prints the internals of connections: unset it',
  NODE_REDIRECT_WARNINGS: 'writes warnings to a file: unset it',
  NODE_V8_COVERAGE: 'writes coverage to a file: unset it',
};

/** Allowed on the command line and in NODE_OPTIONS, in exactly this polarity: --no-disable-sigusr1 isn't among them. */
const ALLOWED_FLAGS: ReadonlySet<string> = new Set([
  // memory and compilers; --jitless and --lite-mode would take WebAssembly from the HTTP client
  '--max-old-space-size',
  '--max-old-space-size-percentage',
  '--max-semi-space-size',
  '--min-semi-space-size',
  '--initial-old-space-size',
  '--max-heap-size',
  '--stack-size',
  '--v8-pool-size',
  '--no-opt',
  '--no-maglev',
  '--no-sparkplug',
  '--wasm-tiering-budget',
  '--disable-wasm-trap-handler',
  '--use-largepages',
  '--zero-fill-buffers',
  '--secure-heap',
  '--secure-heap-min',
  // TLS and the network
  '--use-openssl-ca',
  '--use-system-ca',
  '--use-bundled-ca',
  '--tls-cipher-list',
  '--tls-min-v1.2',
  '--tls-min-v1.3',
  '--tls-max-v1.3',
  '--enable-fips',
  '--force-fips',
  '--max-http-header-size',
  '--dns-result-order',
  '--network-family-autoselection',
  '--no-network-family-autoselection',
  '--network-family-autoselection-attempt-timeout',
  // less output, and readable stack traces
  '--no-warnings',
  '--disable-warning',
  '--no-deprecation',
  '--stack-trace-limit',
  '--enable-source-maps',
  // fewer rights
  '--disable-sigusr1',
  '--permission',
  '--allow-fs-read',
  '--allow-fs-write',
  '--allow-net',
  '--allow-child-process',
]);

/** @returns why the process must not run like this; undefined when it may */
export function unsafeStart({ env, execArgv, debuggerUrl }: Start): string | undefined {
  for (const [variable, reason] of Object.entries(REFUSED_VARIABLES)) {
    const [name = '', value] = variable.split('=');
    if (env[name] && (value === undefined || env[name] === value)) return `${variable} ${reason}`;
  }
  const places = { "node's command line": execArgv, NODE_OPTIONS: splitNodeOptions(env['NODE_OPTIONS'] ?? '') };
  for (const [place, words] of Object.entries(places)) {
    const refused = words.find((word) => word.startsWith('-') && !isAllowed(word));
    if (refused !== undefined)
      return `${place}: Node's ${nameOf(refused)} isn't known to be harmless: remove it; SECURITY.md lists the allowed flags`;
  }
  // No other flag or signal opens a debugger then, and to ask costs 3 MiB.
  if (Object.values(places).some((words) => words.some((word) => normalized(word) === '--disable-sigusr1')))
    return undefined;
  return debuggerUrl() === undefined
    ? undefined
    : "a signal SIGUSR1 opened Node's debugger: start node with --disable-sigusr1";
}

/** The value of a flag may be secret, so it is never shown. */
const nameOf = (word: string): string => word.split('=')[0] ?? '';

/** Node takes _ for - in the name of a flag. */
const normalized = (word: string): string => nameOf(word).replaceAll('_', '-');

/** A bare -- ends Node's flags. */
const isAllowed = (word: string): boolean => word === '--' || ALLOWED_FLAGS.has(normalized(word));

/** Splits at spaces, which double quotes keep, and within these a backslash keeps the next character: as Node does. */
function splitNodeOptions(text: string): readonly string[] {
  const words = text.match(/(?:"(?:\\.|[^"\\])*"|[^ "])+/gs) ?? [];
  return words.map((word) =>
    word.replaceAll(/"((?:\\.|[^"\\])*)"/gs, (_, quoted: string) => quoted.replaceAll(/\\(.)/gs, '$1')),
  );
}
