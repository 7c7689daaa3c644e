// One exchange with its runner, source, Vault client and sinks, and the clients that wait for its next token.
// A reload replaces the runner: the token stays served, and waiting clients keep waiting.

import { defined } from '../core/defined.ts';
import { callDeadline } from '../core/schedule.ts';
import type { Secret } from '../core/secret.ts';
import type { ExchangeSettings, TlsSettings, VaultSettings } from '../core/settings.ts';
import type { ExchangeEvent, HeldToken, Policy, State } from '../core/state.ts';
import { servedToken, statusOf } from '../core/status.ts';
import type { Beginning } from '../core/step.ts';
import type { TokenSink } from '../sinks/sink.ts';
import type { VaultClient } from '../vault/client.ts';
import { within } from './clock.ts';
import { withCorrelationIds } from './correlation.ts';
import { openHooks } from './hooks.ts';
import type { Ports } from './ports.ts';
import { type Clock, momentOf, type RunnerObserver, type RunnerParts, startRunner } from './runner.ts';
import { inTurn, type Turns } from './sink-turns.ts';
import type { ExchangeView, ServedToken } from './view.ts';

export interface ExchangeTools {
  readonly clock: Clock;
  readonly observer: RunnerObserver;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** returns the valid Vault token of another exchange in this process, for a vault-identity source */
  readonly tokenFor: (asking: ExchangeSettings, exchange: string) => Secret | undefined;
  /** returns a new id for a call to Vault */
  readonly nextCorrelationId: () => string;
  readonly turns: Turns;
  /** whether no other exchange owns the sink under the latest config */
  readonly mayUse: (exchange: string, sink: string) => boolean;
  readonly ports: Ports;
  /** aborts when the process stops */
  readonly ending: AbortSignal;
}

export interface ServedExchange extends ExchangeView {
  settings(): ExchangeSettings;
  /** returns the Vault token if it may be served and the Vault at `address` issued it */
  tokenFrom(address: string): Secret | undefined;
  /** Switches to new settings: the old token stays served, and nothing starts under the new ones before `startsAt`. */
  change(settings: ExchangeSettings, startsAt: number): Promise<void>;
  /** Ends backoffs: failed actions are retried at once. */
  retry(): void;
  /** Stops as `on_stop` says, within `graceMs`. */
  stop(graceMs: number): Promise<void>;
  close(): Promise<void>;
}

export type ServedBeginning = Pick<Beginning, 'startsAt' | 'honoursLastLogin'>;

export function openServedExchange(
  first: ExchangeSettings,
  tools: ExchangeTools,
  beginning: ServedBeginning,
  onStep: (state: State) => void,
): ServedExchange {
  const { clock } = tools;
  const waiting = openWaiting();
  let generation: number | undefined;
  const onStepped = (state: State) => {
    if (state.token?.generation !== generation) waiting.wake();
    generation = state.token?.generation;
    onStep(state);
  };
  const earlierVaults = openEarlierVaults(tools.ports);
  const lateGrants = openLateGrants((event) => open.runner.post(event));
  const hooks = { onStepped, onLateGrant: lateGrants.add, earlierVault: earlierVaults.at };
  let open = openParts(first, tools, beginning, hooks);
  let work: Promise<unknown> = Promise.resolve();
  /** of dropped sinks: they may hang, and then hold up only the stop, within its limit */
  let removals: Promise<unknown> = Promise.resolve();
  /** Serializes change(), stop() and close(). */
  const inOrder = (next: () => Promise<void>): Promise<void> => {
    const done = work.then(next);
    work = done.catch(() => {});
    return done;
  };

  return {
    name: first.name,
    settings: () => open.policy.settings,
    tokenFrom(address) {
      const token = servedToken(open.runner.state(), clock.now());
      return token?.origin.address === address ? token.secret : undefined;
    },
    status: () => statusOf(open.policy, open.runner.state(), momentOf(clock)),
    token() {
      const token = servedToken(open.runner.state(), clock.now());
      return token && viewOfToken(token, clock);
    },
    generation: () => open.runner.state().token?.generation,
    async changed(known, signal) {
      if (open.runner.state().token?.generation === known) await waiting.forNext(signal);
    },
    refresh: () => open.runner.post({ type: 'refresh-requested' }),
    vault: () => open.target,
    suspect: (suspected) => open.runner.post({ type: 'token-suspected', generation: suspected }),
    retry: () => open.runner.post({ type: 'retry-requested' }),
    change: (settings, startsAt) =>
      inOrder(async () => {
        const { policy, runner, sinks, close } = open;
        const inherited = { settings: policy.settings, state: runner.state() };
        earlierVaults.remember(policy.settings.vault);
        lateGrants.hold();
        await close('after the call in flight');
        open = openParts(settings, tools, { startsAt, inherited }, hooks);
        lateGrants.release();
        if (policy.settings.onStop === 'revoke') removals = Promise.all([removals, removeUnused(sinks, settings)]);
      }),
    stop: (graceMs) =>
      inOrder(async () => {
        await within(clock, graceMs, Promise.all([open.runner.stop(), removals]));
        await open.close('at once');
        await earlierVaults.close();
        waiting.wake();
      }),
    close: () => inOrder(() => open.close('at once')),
  };
}

function viewOfToken(token: HeldToken, clock: Clock): ServedToken {
  const { secret, accessor, type, policies, origin, renewable, generation } = token;
  const expiresInMs = token.expiresAt - clock.now();
  const expiresAt = clock.wall() + expiresInMs;
  return { secret, accessor, type, policies, origin, renewable, generation, expiresInMs, expiresAt };
}

/** Removes the token from sinks that the new settings drop, unless another exchange owns the sink now. */
async function removeUnused(sinks: readonly TokenSink[], settings: ExchangeSettings): Promise<void> {
  const unused = sinks.filter(({ id }) => !settings.sinks.some(({ path }) => path === id));
  await Promise.allSettled(unused.map((sink) => sink.remove()));
}

/** Tracks the clients that wait for the next token. */
function openWaiting() {
  const waiting = new Set<() => void>();
  return {
    wake() {
      for (const done of [...waiting]) done();
    },
    /** Resolves at the next wake(), or when `signal` aborts. */
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

/** The Vaults of earlier configs, which are asked only to revoke a token there. */
function openEarlierVaults({ openVault }: Ports) {
  const settings = new Map<string, VaultSettings>();
  const clients = new Set<VaultClient>();
  return {
    remember: (vault: VaultSettings) => void settings.set(vault.address, vault),
    /** @returns a client for one call; the caller closes it */
    at(address: string): VaultClient | undefined {
      const known = settings.get(address);
      if (known === undefined) return undefined;
      const client = openVault(known);
      clients.add(client);
      return {
        send: (request) => client.send(request),
        close() {
          clients.delete(client);
          return client.close();
        },
      };
    },
    async close() {
      await Promise.all([...clients].map((client) => client.close()));
    },
  };
}

interface Hooks extends Pick<RunnerParts, 'onLateGrant' | 'earlierVault'> {
  readonly onStepped: (state: State) => void;
}

function openParts(
  settings: ExchangeSettings,
  tools: ExchangeTools,
  beginning: Beginning,
  { onStepped, ...hooks }: Hooks,
) {
  const { clock, observer, env, tokenFor, nextCorrelationId, turns, mayUse, ports } = tools;
  const sinks = settings.sinks.map((sink) =>
    inTurn(ports.openSink(sink), { turns, now: clock.now, isOurs: () => mayUse(settings.name, sink.path) }),
  );
  const policy: Policy = { settings, sinks: sinks.map(({ id }) => id) };
  const onHint = () => runner.post({ type: 'jwt-hinted' });
  const openVault = (issuing: VaultSettings) => withCorrelationIds(ports.openVault(issuing), nextCorrelationId);
  const tokenOf = (exchange: string) => tokenFor(settings, exchange);
  const source = ports.openSource(settings.source, { env, onHint, tokenOf, openVault });
  const client = ports.openVault(settings.vault);
  const watches = trustFiles(settings.vault.tls).map((path) =>
    ports.watchDirectoryOf(path, () => runner.post({ type: 'retry-requested' })),
  );
  const repair = () => {
    for (const watch of watches) void watch.repair();
  };
  repair();
  // the directory of a TLS file may have been created or replaced: repair its watch after each call
  const vault: VaultClient = { ...client, send: (request) => client.send(request).finally(repair) };
  const stepped: RunnerObserver['stepped'] = (...step) => {
    observer.stepped(...step);
    onStepped(step[2]);
  };
  observer.added(policy);
  const runner = startRunner({
    ...hooks,
    ...{ policy, source, vault, sinks, clock, nextCorrelationId, beginning, runHook: openHooks(settings, tools) },
    observer: { ...observer, stepped },
  });
  const { namespace } = settings.login;
  return {
    policy,
    runner,
    sinks,
    target: { ...settings.vault, ...defined({ namespace }) },
    /** After a reload, a login in flight may still return a token to revoke, so the client closes after the reply. */
    async close(when: 'at once' | 'after the call in flight') {
      const settled = runner.close();
      const closeVault = () => vault.close();
      if (when === 'at once') await closeVault();
      else void within(clock, callDeadline(settings.vault), settled).then(closeVault);
      await Promise.allSettled([source.close(), ...watches.map((watch) => watch.close())]);
    },
  };
}

type LateGrant = Extract<ExchangeEvent, { type: 'late-grant' }>;

/** Passes on the grants of calls that a change left in flight. Those that come while it replaces the runner wait for the new one. */
function openLateGrants(post: (event: LateGrant) => void) {
  let held: LateGrant[] | undefined;
  return {
    add(grant: LateGrant['grant'], origin: LateGrant['origin']) {
      const event: LateGrant = { type: 'late-grant', grant, origin };
      if (held === undefined) post(event);
      else held.push(event);
    },
    hold() {
      held = [];
    },
    release() {
      const due = held ?? [];
      held = undefined;
      for (const event of due) post(event);
    },
  };
}

/** Returns the TLS files to watch: a change may fix a TLS failure. The Vault client rereads them at each call. */
function trustFiles({ caFile, clientCertFile, clientKeyFile }: TlsSettings): string[] {
  return [caFile, clientCertFile, clientKeyFile].filter((path) => path !== undefined);
}
