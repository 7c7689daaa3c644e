// Refuses to start if flags or variables of Node would expose secrets of the process: debugger, preloaded module, heap dump,
// report, key log. The allowed flags are listed rather than the harmful ones, as each release of Node adds new ones.

export interface Start {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Node's own flags on the command line */
  readonly execArgv: readonly string[];
  /** the address of Node's debugger while it listens */
  readonly debuggerUrl: () => string | undefined;
}

/** The refused variables, or a variable with its refused value, each with the reason and the remedy. */
const REFUSED_VARIABLES: Readonly<Record<string, string>> = {
  'NODE_TLS_REJECT_UNAUTHORIZED=0': 'turns TLS verification off: unset it, and set vault.tls.ca_file',
  SSLKEYLOGFILE: 'writes TLS keys to a file: unset it',
  NODE_DEBUG: 'prints the internals of requests: unset it',
  NODE_DEBUG_NATIVE: 'prints the internals of connections: unset it',
  NODE_REDIRECT_WARNINGS: 'writes warnings to a file: unset it',
  NODE_V8_COVERAGE: 'writes coverage to a file: unset it',
};

/** The flags that are allowed on the command line and in NODE_OPTIONS, in exactly this form: --no-disable-sigusr1 is refused. */
const ALLOWED_FLAGS: ReadonlySet<string> = new Set([
  // memory and compilers; --jitless and --lite-mode disable WebAssembly, which the HTTP client needs
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

/** @returns why the process must not start; undefined if it may */
export function unsafeStart({ env, execArgv, debuggerUrl }: Start): string | undefined {
  for (const [variable, reason] of Object.entries(REFUSED_VARIABLES)) {
    const [name = '', value] = variable.split('=');
    if (env[name] && (value === undefined || env[name] === value)) return `${variable} ${reason}`;
  }
  const places = { "node's command line": execArgv, NODE_OPTIONS: splitNodeOptions(env['NODE_OPTIONS'] ?? '') };
  for (const [place, words] of Object.entries(places)) {
    const refused = words.find((word) => word.startsWith('-') && !isAllowed(word));
    if (refused !== undefined)
      return `${place}: Node's ${nameOf(refused)} isn't allowed: remove it; SECURITY.md lists the allowed flags`;
  }
  // With --disable-sigusr1 no signal opens the debugger, so skip the inspector check, which costs 3 MiB.
  if (Object.values(places).some((words) => words.some((word) => normalized(word) === '--disable-sigusr1')))
    return undefined;
  return debuggerUrl() === undefined
    ? undefined
    : "the signal SIGUSR1 has opened Node's debugger: start node with --disable-sigusr1";
}

/** Returns the name of a flag without its value, which may be secret. */
const nameOf = (word: string): string => word.split('=')[0] ?? '';

/** Returns the name of a flag with - for _, as Node treats them as equal. */
const normalized = (word: string): string => nameOf(word).replaceAll('_', '-');

/** Reports whether a flag is allowed. A bare -- ends Node's flags. */
const isAllowed = (word: string): boolean => word === '--' || ALLOWED_FLAGS.has(normalized(word));

/** Splits NODE_OPTIONS as Node does: at spaces outside double quotes; within quotes, a backslash escapes the next character. */
function splitNodeOptions(text: string): readonly string[] {
  const words = text.match(/(?:"(?:\\.|[^"\\])*"|[^ "])+/gs) ?? [];
  return words.map((word) =>
    word.replaceAll(/"((?:\\.|[^"\\])*)"/gs, (_, quoted: string) => quoted.replaceAll(/\\(.)/gs, '$1')),
  );
}
