// One exchange as the process serves it: its runner with source, Vault client and sinks, and those who wait for its next
// token. A reload puts another runner in the same place: the token is served on, and the waiting go on waiting.

import { openDeadline } from './clock.ts';
import type { Inheritance } from './core/exchange.ts';
import type { Secret } from './core/secret.ts';
import type { ExchangeSettings, SinkSettings, SourceSettings, TlsSettings, VaultSettings } from './core/settings.ts';
import type { Policy, State } from './core/state.ts';
import { describe, servedToken } from './core/status.ts';
import type { ExchangeView } from './http/exchange-view.ts';
import { type Clock, momentOf, type RunnerObserver, startRunner } from './runner.ts';
import { openSink } from './sinks/open-sink.ts';
import type { TokenSink } from './sinks/sink.ts';
import { inTurn, type Turns } from './sinks/turns.ts';
import { openSource, type SourceTools } from './sources/open-source.ts';
import type { JwtSource } from './sources/source.ts';
import { type Watch, watchDirectoryOf } from './sources/watch.ts';
import { openVaultClient, type VaultClient } from './vault/client.ts';

/** The ways out of an exchange into the world. */
export interface Ports {
  readonly openSource: (settings: SourceSettings, tools: SourceTools) => JwtSource;
  readonly openSink: (settings: SinkSettings) => TokenSink;
  readonly openVault: (settings: VaultSettings) => VaultClient;
  readonly watchDirectoryOf: (path: string, onHint: () => void) => Watch;
}

const REAL_PORTS: Ports = { openSource, openSink, openVault: openVaultClient, watchDirectoryOf };

export interface ExchangeTools {
  readonly clock: Clock;
  readonly observer: RunnerObserver;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** the live Vault token of another exchange in this process, for one whose settings ask for it */
  readonly tokenFor: (asking: ExchangeSettings, exchange: string) => Secret | undefined;
  readonly turns: Turns;
  /** whether the sink with this id is no other exchange's under the config in force */
  readonly mayUse: (exchange: string, sink: string) => boolean;
  /** files, the watcher and HTTP unless somebody brings other ones */
  readonly ports?: Ports;
}

export interface ServedExchange extends ExchangeView {
  settings(): ExchangeSettings;
  /** the Vault token while it may be served, if the Vault at `address` granted it */
  tokenFrom(address: string): Secret | undefined;
  /** Goes over to other settings: the old token is served until a login under the new ones, begun in `startsInMs`. */
  change(settings: ExchangeSettings, startsInMs: number): Promise<void>;
  /** Ends as `on_stop` says, within `graceMs`. */
  stop(graceMs: number): Promise<void>;
  close(): Promise<void>;
}

interface Begin {
  /** how long to wait before the JWT is read and Vault asked: many exchanges don't start in one moment */
  readonly startsInMs: number;
  /** whether a token that another process put in place lately holds up the first login */
  readonly looksBack: boolean;
}

export function openServedExchange(
  first: ExchangeSettings,
  tools: ExchangeTools,
  { startsInMs, looksBack, onStep }: Begin & { readonly onStep: (state: State) => void },
): ServedExchange {
  const { clock } = tools;
  const waiting = openWaiting();
  let generation: number | undefined;
  const stepped = (state: State) => {
    if (state.token?.generation !== generation) waiting.wake();
    generation = state.token?.generation;
    onStep(state);
  };
  let open = openParts(first, tools, { stepped, startsInMs, looksBack });
  let inheritedFrom: string | undefined;
  /** the address of the Vault that granted the token in hand */
  const origin = () => (open.runner.state().token?.isForeign ? inheritedFrom : open.policy.settings.vault.address);
  let work: Promise<unknown> = Promise.resolve();
  /** A change that is under way is done before the next one begins, or the end. */
  const inOrder = (next: () => Promise<void>): Promise<void> => {
    const done = work.then(next);
    work = done.catch(() => {});
    return done;
  };

  return {
    name: first.name,
    settings: () => open.policy.settings,
    tokenFrom: (address) => (origin() === address ? servedToken(open.runner.state(), clock.now())?.secret : undefined),
    status: () => describe(open.policy, open.runner.state(), momentOf(clock)),
    token() {
      const now = clock.now();
      const token = servedToken(open.runner.state(), now);
      if (token === undefined) return undefined;
      const { secret, accessor, renewable } = token;
      const expiresInMs = token.expiresAt - now;
      return {
        secret,
        accessor,
        renewable,
        generation: token.generation,
        expiresInMs,
        expiresAt: clock.wall() + expiresInMs,
      };
    },
    generation: () => open.runner.state().token?.generation,
    async changed(known, signal) {
      if (open.runner.state().token?.generation === known) await waiting.forNext(signal);
    },
    refresh: () => open.runner.post({ type: 'refresh-requested' }),
    change: (settings, startsInMs) =>
      inOrder(async () => {
        const inherited = { settings: open.policy.settings, state: open.runner.state() };
        inheritedFrom = origin();
        await open.close();
        open = openParts(settings, tools, { stepped, startsInMs, looksBack: false, inherited });
      }),
    stop: (graceMs) =>
      inOrder(async () => {
        const deadline = openDeadline(clock, graceMs);
        await Promise.race([open.runner.stop(), deadline.reached]);
        deadline.cancel();
        await open.close();
        waiting.wake();
      }),
    close: () => inOrder(() => open.close()),
  };
}

/** Those who wait for the next token. */
function openWaiting() {
  const waiting = new Set<() => void>();
  return {
    wake() {
      for (const done of [...waiting]) done();
    },
    /** Resolves at the next token, or when `signal` aborts. */
    forNext(signal: AbortSignal): Promise<void> {
      return new Promise((resolve) => {
        if (signal.aborted) return resolve();
        const done = () => {
          waiting.delete(done);
          signal.removeEventListener('abort', done);
          resolve();
        };
        waiting.add(done);
        signal.addEventListener('abort', done);
      });
    },
  };
}

interface Beginning extends Begin {
  readonly stepped: (state: State) => void;
  readonly inherited?: Inheritance | undefined;
}

function openParts(
  settings: ExchangeSettings,
  { clock, observer, env, tokenFor, turns, mayUse, ports = REAL_PORTS }: ExchangeTools,
  { stepped, startsInMs, looksBack, inherited }: Beginning,
) {
  const sinks = settings.sinks.map((sink) =>
    inTurn(ports.openSink(sink), turns, () => mayUse(settings.name, sink.path)),
  );
  const policy: Policy = { settings, sinks: sinks.map(({ id }) => id) };
  const onHint = () => runner.post({ type: 'jwt-hinted' });
  const { openVault } = ports;
  const tokenOf = (exchange: string) => tokenFor(settings, exchange);
  const source = ports.openSource(settings.source, { env, onHint, tokenOf, now: clock.now, openVault });
  const client = openVault(settings.vault);
  const watches = trustFiles(settings.vault.tls).map((path) =>
    ports.watchDirectoryOf(path, () => runner.post({ type: 'trust-changed' })),
  );
  const repair = () => {
    for (const watch of watches) void watch.repair();
  };
  repair();
  // where the files can't be used yet, their directory may be there, or another one, by the next call
  const vault: VaultClient = { ...client, send: (request) => client.send(request).finally(repair) };
  const told: RunnerObserver = {
    ...observer,
    stepped(...step) {
      observer.stepped(...step);
      stepped(step[2]);
    },
  };
  observer.added(policy);
  const runner = startRunner({ policy, source, vault, sinks, clock, observer: told, inherited, startsInMs, looksBack });
  return {
    policy,
    runner,
    async close() {
      runner.close();
      await Promise.allSettled([source.close(), vault.close(), ...watches.map((watch) => watch.close())]);
    },
  };
}

/** The files of which a new content may end a TLS failure. The Vault client itself rereads them at each call. */
function trustFiles({ caFile, clientCertFile, clientKeyFile }: TlsSettings): string[] {
  return [caFile, clientCertFile, clientKeyFile].filter((path) => path !== undefined);
}
