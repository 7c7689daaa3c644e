// Runs a command with a Vault token in its environment, and keeps the token alive until the command ends.

import type { ExchangeSettings, LogLevel, Settings } from '../core/settings.ts';
import { SIGNALS, signalOf } from '../core/signals.ts';
import { openSystemClock } from '../exchange/clock.ts';
import type { RunnerObserver } from '../exchange/runner.ts';
import { type ChildEnd, exitCodeOfChild } from '../host/child.ts';
import { type CaughtSignal, type Io, UsageError } from '../host/io.ts';
import { asText } from '../observe/log-text.ts';
import { type Observer, openObserver } from '../observe/observe.ts';
import { childEnvironment } from './child-env.ts';
import { type Command, crashEvidence, durationFlag, type Flags, textFlag } from './command.ts';
import { chosenExchanges, loadSettings } from './load-settings.ts';
import { openOneShot, reportUndelivered } from './one-shot.ts';
import { type OnNewToken, type Supervised, supervise } from './supervise.ts';

const STDERR = 2;
const CAUGHT = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR2', 'SIGWINCH'] as const;
/** The signals that end the command line before the command has started. */
const ENDING: ReadonlySet<CaughtSignal> = new Set(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT']);

export const command: Command = async (flags, io, words = []) => {
  const signals = catchSignals(io);
  const timeoutMs = durationFlag(flags, 60_000);
  const onNewToken = parseOnNewToken(flags);
  if (words.length === 0) throw new UsageError('exec needs a command after --, such as: exec -- env');
  const { settings } = await loadSettings(flags, io, { needsSink: false });
  const exchange = adapted(chosenExchange(settings, flags), onNewToken);
  const observer = openTextObserver(io, settings.log.level);
  const clock = openSystemClock();
  const tokens = openNewTokens(exchange.name, observer);
  const watched = { ...observer, stepped: tokens.stepped };
  const one = openOneShot([exchange, ...sourcesOf(exchange, settings)], { io, clock, observer: watched });
  const undelivered = await one.waitForDelivery(timeoutMs, signals.first);
  const view = one.exchanges.view(exchange.name);
  const first = undelivered.length === 0 ? view?.token() : undefined;
  if (view === undefined || first === undefined || signals.received() !== undefined) {
    const blocked = view === undefined || undelivered.length > 0 ? undelivered : [view.status()];
    await one.end((exchanges) => exchanges.stop());
    const signal = signals.received();
    return signal === undefined ? reportUndelivered(blocked, io) : endAs({ signal }, io);
  }
  let { secret } = first;
  const surroundings = () => {
    secret = view.token()?.secret ?? secret;
    const { umask, env } = io.inherited();
    return { umask, env: childEnvironment(env, exchange, secret) };
  };
  const child = supervise({ words, clock, onNewToken, surroundings });
  signals.passTo(child);
  tokens.passTo(child, { onNewToken, generation: first.generation });
  const end = await child.ended;
  tokens.passTo(undefined);
  await one.end((exchanges) => (flags['keep'] === true ? exchanges.close('all') : exchanges.stop()));
  if ('errno' in end)
    io.err(`vault-token-sidecar: can't start ${words[0]}: ${end.errno}. Check its path, its mode and PATH.`);
  return endAs(end, io);
};

function parseOnNewToken(flags: Flags): OnNewToken {
  const text = textFlag(flags, 'on-new-token') ?? 'nothing';
  const action = text === 'nothing' || text === 'restart' ? text : signalOf(text);
  if (action === undefined)
    throw new UsageError(`--on-new-token must be nothing, restart or one of ${SIGNALS.join(', ')}`);
  return action;
}

function chosenExchange(settings: Settings, flags: Flags): ExchangeSettings {
  const [one, ...others] = chosenExchanges(settings, flags);
  if (one !== undefined && others.length === 0) return one;
  throw new UsageError(`--exchange must be one of ${settings.exchanges.map(({ name }) => name).join(', ')}`);
}

/** Returns the exchange whose token requests the JWTs of this one, if there is such an exchange. */
function sourcesOf({ source }: ExchangeSettings, { exchanges }: Settings): readonly ExchangeSettings[] {
  const { token } = source.kind === 'vault-identity' ? source : {};
  return exchanges.filter(({ name }) => token !== undefined && 'exchange' in token && token.exchange === name);
}

/** Keeps the token for as long as possible, unless the command can take a new one without a restart. */
function adapted(exchange: ExchangeSettings, onNewToken: OnNewToken): ExchangeSettings {
  if (onNewToken !== 'nothing' && onNewToken !== 'restart') return exchange;
  const { onReplace } = exchange;
  // the command still uses a token that was replaced
  return { ...exchange, onNewJwt: 'when-needed', onReplace: onNewToken === 'nothing' ? 'keep' : onReplace };
}

/** Only warnings and errors, unless the config asks for debugging. */
function openTextObserver({ version, nodeVersion, onCrash }: Io, configured: LogLevel): Observer {
  const level = configured === 'info' ? 'warn' : configured;
  const observer = openObserver({ version, nodeVersion, nodeMetrics: false, level, target: STDERR, format: asText });
  onCrash((error) => observer.log.writeLast('error', 'crashed', { evidence: crashEvidence(error) }));
  return observer;
}

/** Catches signals from now on: keeps the first one that should end the process, until there is a command to pass them to. */
function catchSignals(io: Io) {
  const { promise: first, resolve } = Promise.withResolvers<void>();
  let received: CaughtSignal | undefined;
  let child: Supervised | undefined;
  for (const signal of CAUGHT)
    io.onSignal(signal, () => {
      if (child !== undefined) return child.passOn(signal);
      if (!ENDING.has(signal)) return;
      received ??= signal;
      resolve();
    });
  return {
    first,
    received: () => received,
    passTo(started: Supervised) {
      child = started;
    },
  };
}

interface Recipient {
  readonly onNewToken: OnNewToken;
  /** of the token that the command has */
  readonly generation: number;
}

/** Reports a new token to the command once every sink holds it. */
function openNewTokens(exchange: string, { stepped, log }: Observer) {
  let child: Supervised | undefined;
  let known: Recipient | undefined;
  return {
    stepped(...step: Parameters<RunnerObserver['stepped']>): void {
      stepped(...step);
      const [{ settings }, , { token, sinks }] = step;
      if (settings.name !== exchange || child === undefined || known === undefined || token === undefined) return;
      const { generation } = token;
      if (generation === known.generation || !sinks.every(({ holds }) => holds?.generation === generation)) return;
      known = { ...known, generation };
      if (known.onNewToken === 'nothing') log.write('warn', 'command_outdated', { exchange, hint: OUTDATED_HINT });
      if (known.onNewToken === 'restart') log.write('warn', 'command_restarting', { exchange });
      child.newToken();
    },
    passTo(started: Supervised | undefined, recipient?: Recipient) {
      child = started;
      known = recipient;
    },
  };
}

const OUTDATED_HINT = 'The command keeps its old Vault token: restart or signal it with --on-new-token.';

/** A shell treats a command that was ended by one of these signals in another way than one that exits. */
const RERAISED: ReadonlySet<string> = new Set(['SIGINT', 'SIGTERM', 'SIGHUP'] satisfies CaughtSignal[]);

/** Ends as the command did. Signals that dump core aren't raised: the core would hold secrets. */
function endAs(end: ChildEnd, io: Io): number {
  if ('signal' in end && isReraised(end.signal)) io.endBySignal(end.signal);
  return exitCodeOfChild(end);
}

const isReraised = (signal: string): signal is CaughtSignal => RERAISED.has(signal);
