// The exchanges of a command that ends: `once` and `exec`. They run as in the daemon; a token that isn't delivered to every sink
// is revoked.

import { type ErrorCode, EXIT_CODES, entryOf, exitCodeOf, lineOf } from '../core/errors.ts';
import type { ExchangeSettings } from '../core/settings.ts';
import type { State } from '../core/state.ts';
import type { ExchangeStatus } from '../core/status.ts';
import { openDeadline, within } from '../exchange/clock.ts';
import { type Exchanges, openExchanges } from '../exchange/exchanges.ts';
import type { Clock, RunnerObserver } from '../exchange/runner.ts';
import type { Io } from '../host/io.ts';
import type { Observer } from '../observe/observe.ts';
import { REAL_PORTS } from '../real-ports.ts';

/** The deadline of the end; a call that hangs longer is abandoned. The stop of an exchange takes little more than a second. */
const END_MS = 1400;

export interface OneShotParts {
  readonly io: Io;
  readonly clock: Clock;
  readonly observer: Observer;
}

export interface OneShot {
  readonly exchanges: Exchanges;
  /**
   * Waits until every exchange has delivered a token once, the rest can't, `timeoutMs` are over, or `interrupted` resolves.
   * @returns the status of each exchange that has not delivered
   */
  waitForDelivery(timeoutMs: number, interrupted: Promise<unknown>): Promise<readonly ExchangeStatus[]>;
  /** Ends the exchanges with `end`, and prints the accessors of tokens that should have been revoked, but were not. */
  end(end: (exchanges: Exchanges) => Promise<void>): Promise<void>;
}

export function openOneShot(settings: readonly ExchangeSettings[], { io, clock, observer }: OneShotParts): OneShot {
  const { promise: hopeless, resolve: giveUp } = Promise.withResolvers<void>();
  const pending = new Set(settings.map(({ name }) => name));
  const orphans = openOrphans();
  const stepped: RunnerObserver['stepped'] = (...step) => {
    observer.stepped(...step);
    orphans.stepped(...step);
    const [{ settings: one }, , state] = step;
    if (state.started || hasPermanentFailure(one, state)) pending.delete(one.name);
    else pending.add(one.name);
    if (pending.size === 0) giveUp();
  };
  const parts = { clock, observer: { ...observer, stepped }, env: io.env, ports: REAL_PORTS, isOneShot: true };
  // An exchange that doesn't finish must leave no token behind; close() spares those that do.
  const undoing = settings.map((one) => ({ ...one, onStop: 'undo' }) as const);
  const exchanges = openExchanges(undoing, parts);
  return {
    exchanges,
    async waitForDelivery(timeoutMs, interrupted) {
      const timeout = openDeadline(clock, timeoutMs);
      await Promise.race([exchanges.started, hopeless, timeout.reached, interrupted]);
      timeout.cancel();
      return exchanges
        .views()
        .map((view) => view.status())
        .filter(({ started }) => !started);
    },
    async end(end) {
      await within(clock, END_MS, end(exchanges));
      await observer.log.flush();
      for (const line of orphans.lines()) io.err(line);
    },
  };
}

/** Prints why exchanges have not delivered. @returns the highest of their exit codes; 0 if there are none */
export function reportUndelivered(statuses: readonly ExchangeStatus[], io: Io): number {
  const codes = statuses.map((status) => {
    const cause = causeOf(status);
    const why = cause === undefined ? (status.reasons[0] ?? 'no token yet') : lineOf(cause);
    io.err(`exchange ${status.exchange}: ${why}`);
    return cause === undefined ? EXIT_CODES.readiness : exitCodeOf(cause);
  });
  return Math.max(0, ...codes);
}

/** Tracks the tokens that exchanges hold while they stop, and that Vault hasn't revoked. */
function openOrphans() {
  const accessors = new Map<string, string>();
  const stepped: RunnerObserver['stepped'] = ({ settings: { name } }, before, state, event) => {
    const { stopping, token } = state;
    if (stopping !== undefined && token !== undefined && !token.takenOver) accessors.set(name, token.accessor);
    if (event.type === 'revoked' && before.token !== undefined && state.token === undefined) accessors.delete(name);
  };
  const lines = () =>
    [...accessors].map(
      ([name, accessor]) => `exchange ${name}: the Vault token with accessor ${accessor || '(none)'} was not revoked`,
    );
  return { stepped, lines };
}

/** Returns the failure that keeps the exchange from its first delivery; undefined if nothing has failed yet. */
const causeOf = ({ failure, sinks }: ExchangeStatus) => sinks.find((sink) => sink.failure)?.failure ?? failure;

/** Reports whether a failure lasts until somebody changes the job, the config or Vault's role. */
const hasPermanentFailure = ({ source }: ExchangeSettings, { reading, loginStreak, sinks }: State): boolean =>
  [reading.failure, loginStreak, ...sinks.map(({ failure }) => failure)]
    .flatMap((one) => one?.failure ?? [])
    .some((failure) => {
      const { code, facts } = failure;
      if (facts?.kind === 'variable' || (code === 'jwt_expired' && source.kind === 'env')) return true;
      if (!PERMANENT.has(code)) return false;
      // A file may still be replaced.
      if (entryOf(failure).area === 'jwt') return source.kind !== 'file';
      // Without Vault's words, something before Vault may have answered.
      return facts?.kind !== 'reply' || facts.words !== '';
    });

const PERMANENT: ReadonlySet<ErrorCode> = new Set([
  'jwt_malformed',
  'jwt_wrapped',
  'jwt_wrong_issuer',
  'jwt_wrong_audience',
  'jwt_wrong_subject',
  'jwt_endpoint_refused',
  'jwt_endpoint_unusable',
  // also for an unknown mount
  'login_forbidden',
  'mount_missing',
  'mount_unconfigured',
  'role_missing',
  'role_type_oidc',
  'issuer_mismatch',
  'audience_unbound',
  'audience_mismatch',
  'subject_mismatch',
  'claims_mismatch',
  'cel_denied',
  'algorithm_refused',
  'sink_directory_missing',
  'sink_directory_unsafe',
  'sink_file_system',
  'sink_blocked',
  'sink_denied',
]);
