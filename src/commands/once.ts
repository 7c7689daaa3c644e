// Runs the daemon's exchanges until each has delivered a token once, for CI jobs and init containers.

import { type ErrorCode, EXIT_CODES, entryOf, exitCodeOf, lineOf } from '../core/errors.ts';
import { withoutControls } from '../core/secret.ts';
import type { ExchangeSettings } from '../core/settings.ts';
import type { State } from '../core/state.ts';
import type { ExchangeStatus } from '../core/status.ts';
import { openDeadline, openSystemClock, within } from '../exchange/clock.ts';
import { openExchanges } from '../exchange/exchanges.ts';
import type { RunnerObserver } from '../exchange/runner.ts';
import { openObserver } from '../observe/observe.ts';
import { REAL_PORTS } from '../real-ports.ts';
import { CONFIG_OPTION, type Command, parseTimeout } from './command.ts';
import { loadSettings } from './load-settings.ts';

const STDERR = 2;
/** The deadline of the end; a call that hangs longer is abandoned. The stop of an exchange takes little more than a second. */
const END_MS = 1400;

export const command: Command = {
  help: `vault-token-sidecar once [--config FILE] [--timeout 60s]

Logs in, writes every sink once and exits. Logs to stderr. Leaves the token in place, even with "on_stop": "revoke". If an
exchange can't write all its sinks, or has none, revokes its token and removes the files that hold it.
Exit codes: 0 delivered; 4 Vault refused the login; 5 Vault unreachable, sealed or failing; 6 no usable JWT; 7 a sink can't be
written; 3 not ready within the timeout. Exits at once on errors that last, such as a missing role; waits for Vault and for the
JWT's file.

--config FILE        the config file (by default, the environment)
--timeout DURATION   gives up after this time (60s)`,
  options: { ...CONFIG_OPTION, timeout: { type: 'string' } },
  async run(flags, io) {
    const timeoutMs = parseTimeout(flags, 60_000);
    const { settings } = await loadSettings(flags, io);
    const { version, nodeVersion, env } = io;
    const observer = openObserver({
      version,
      nodeVersion,
      nodeMetrics: false,
      level: settings.log.level,
      target: STDERR,
    });
    const clock = openSystemClock();
    const { promise: hopeless, resolve: giveUp } = Promise.withResolvers<void>();
    const pending = new Set(settings.exchanges.map(({ name }) => name));
    const orphans = openOrphans();
    const stepped: RunnerObserver['stepped'] = (...step) => {
      observer.stepped(...step);
      orphans.stepped(...step);
      const [{ settings: one }, , state] = step;
      if (state.started || hasPermanentFailure(one, state)) pending.delete(one.name);
      else pending.add(one.name);
      if (pending.size === 0) giveUp();
    };
    const watched = { ...observer, stepped };
    const parts = { clock, observer: watched, env, ports: REAL_PORTS, isOneShot: true };
    // An exchange that doesn't finish must leave no token behind; close() spares those that do.
    const undoing = settings.exchanges.map((one) => ({ ...one, onStop: 'undo' }) as const);
    const exchanges = openExchanges(undoing, parts);
    const timeout = openDeadline(clock, timeoutMs);
    const interrupted = new Promise<void>((resolve) => {
      for (const signal of ['SIGTERM', 'SIGINT'] as const) io.onSignal(signal, resolve);
    });
    await Promise.race([exchanges.started, hopeless, timeout.reached, interrupted]);
    timeout.cancel();
    const statuses = exchanges.views().map((view) => view.status());
    await within(clock, END_MS, exchanges.close());
    await observer.log.flush();
    for (const line of orphans.lines()) io.err(line);
    const codes = statuses
      .filter(({ started }) => !started)
      .map((status) => {
        const cause = causeOf(status);
        const why = cause === undefined ? (status.reasons[0] ?? 'no token yet') : lineOf(cause);
        io.err(withoutControls(`exchange ${status.exchange}: ${why}`));
        return cause === undefined ? EXIT_CODES.readiness : exitCodeOf(cause);
      });
    return Math.max(0, ...codes);
  },
};

/** Tracks the tokens that exchanges hold while they stop, and that Vault hasn't revoked. */
function openOrphans() {
  const accessors = new Map<string, string>();
  const stepped: RunnerObserver['stepped'] = ({ settings: { name } }, before, state, event) => {
    if (state.stopping !== undefined && state.token !== undefined) accessors.set(name, state.token.accessor);
    if (event.type === 'revoked' && before.token !== undefined && state.token === undefined) accessors.delete(name);
  };
  const lines = () =>
    [...accessors].map(([name, accessor]) =>
      withoutControls(`exchange ${name}: the Vault token with accessor ${accessor || '(none)'} was not revoked`),
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
      if (facts?.kind === 'variable') return true;
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
  'sink_blocked',
  'sink_denied',
]);
