// The core of one exchange in virtual time, with a model Vault, and with variables for the JWT's file and the sink. It
// replaces the runner (one timer, results as events) and records a transcript.

import { isStopped } from '../../src/core/decide.ts';
import type { Failure } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import type { ExchangeSettings } from '../../src/core/settings.ts';
import type { Effect, ExchangeEvent, Moment, Policy, State } from '../../src/core/state.ts';
import { type ExchangeStatus, statusOf } from '../../src/core/status.ts';
import { type Beginning, initialState, step } from '../../src/core/step.ts';
import type { Operation } from '../../src/core/vault-protocol.ts';
import { buildModelVault } from './model-vault.ts';

export const T0 = Date.UTC(2026, 10, 1);

export interface WorldOptions {
  readonly beginning?: Beginning;
  readonly settings?: Partial<ExchangeSettings>;
  readonly random?: () => number;
  readonly latencyMs?: (effect: Effect['type']) => number;
  /** whether the result of an effect is lost, after the effect took place */
  readonly loses?: (effect: Effect) => boolean;
  /** called after every step */
  readonly check?: (world: World, before: State, event: ExchangeEvent, wakeAt: number) => void;
}

interface Planned {
  readonly at: number;
  readonly order: number;
  readonly happen: () => void;
}

export interface CallRecord {
  readonly at: number;
  readonly operation: Operation;
  outcome?: string;
}

export class World {
  now = T0;
  /** wall clock minus steady clock */
  wallOffsetMs = 0;
  readonly vault: ReturnType<typeof buildModelVault>;
  jwt: string | Failure;
  sinkFailure: Failure | undefined;
  watched = true;
  /** the content of the sink's file */
  file: Secret | undefined;
  readonly calls: CallRecord[] = [];
  readonly transcript: string[] = [];
  readonly policy: Policy;
  state: State;
  readonly #options: WorldOptions;
  #planned: Planned[] = [];
  #order = 0;
  #wakeAt = Number.POSITIVE_INFINITY;

  /** @param before the world whose Vault, file, JWT and time this one continues */
  constructor(options: WorldOptions = {}, before?: World) {
    this.#options = options;
    this.vault = before?.vault ?? buildModelVault();
    this.now = before?.now ?? T0;
    this.jwt = before?.jwt ?? { code: 'jwt_missing' };
    this.file = before?.file;
    this.policy = { settings: { ...settingsOf(), ...options.settings }, sinks: ['/vault/token'] };
    this.state = initialState(this.policy, this.moment(), options.beginning);
  }

  moment(): Moment {
    return { now: this.now, wall: this.now + this.wallOffsetMs, random: this.#options.random?.() ?? 0.5 };
  }

  status(): ExchangeStatus {
    return statusOf(this.policy, this.state, this.moment());
  }

  isStopped(): boolean {
    return isStopped(this.policy, this.state, this.now);
  }

  jwtSecret(): Secret {
    if (typeof this.jwt !== 'string') throw new Error('there is no JWT');
    return new Secret(this.jwt);
  }

  /** Replaces the JWT, as the issuer does, and raises a file event. */
  writeJwt(jwt: string | Failure): void {
    this.jwt = jwt;
    if (this.watched) this.post({ type: 'jwt-hinted' });
  }

  post(event: ExchangeEvent): void {
    const before = this.state;
    const moment = this.moment();
    const { state, effects, wakeAt } = step(this.policy, before, event, moment);
    this.state = state;
    this.#wakeAt = wakeAt;
    this.#options.check?.(this, before, event, wakeAt);
    this.#tell(before, event);
    for (const effect of effects) this.#perform(effect);
  }

  at(at: number, happen: () => void): void {
    this.#planned.push({ at, order: this.#order++, happen });
    this.#planned.sort((a, b) => a.at - b.at || a.order - b.order);
  }

  /** Lets virtual time pass. */
  pass(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      const planned = this.#planned[0];
      const next = Math.min(planned?.at ?? Number.POSITIVE_INFINITY, this.#wakeAt);
      if (next > end) break;
      this.now = Math.max(this.now, next);
      if (planned !== undefined && planned.at <= this.#wakeAt) {
        this.#planned.shift();
        planned.happen();
      } else {
        this.#wakeAt = Number.POSITIVE_INFINITY;
        this.post({ type: 'woke' });
      }
    }
    this.now = end;
  }

  note(text: string): void {
    this.transcript.push(`${((this.now - T0) / 1000).toFixed(1)}s  ${text}`);
  }

  #perform(effect: Effect): void {
    const ms = this.#options.latencyMs?.(effect.type) ?? (effect.type === 'read-jwt' ? 1 : 20);
    const call = callOf(effect, this.now);
    if (call !== undefined) this.calls.push(call);
    if (call !== undefined && 'timeoutMs' in effect && ms > effect.timeoutMs) {
      this.at(this.now + effect.timeoutMs, () => {
        call.outcome = 'vault_timeout';
        this.post({ type: FAILED[effect.type], attempt: effect.attempt, failure: { code: 'vault_timeout' } });
      });
      return;
    }
    // a call reaches Vault after half of its latency, and the reply returns after the other half
    this.at(this.now + Math.ceil(ms / 2), () => {
      const event = this.#outcome(effect);
      if (call !== undefined) call.outcome = 'failure' in event ? event.failure.code : 'ok';
      if (this.#options.loses?.(effect)) return;
      this.at(this.now + Math.floor(ms / 2), () => this.post(event));
    });
  }

  #outcome(effect: Effect): ExchangeEvent {
    switch (effect.type) {
      case 'find-last-login':
        return { type: 'last-login-found', ageMs: Number.POSITIVE_INFINITY };
      case 'read-jwt': {
        const { jwt, watched } = this;
        const { attempt } = effect;
        return typeof jwt === 'string'
          ? { type: 'jwt-read', attempt, secret: new Secret(jwt), watched }
          : { type: 'jwt-unreadable', attempt, failure: jwt, watched };
      }
      case 'log-in': {
        const { attempt } = effect;
        const answer = this.vault.login(effect.jwt, this.now, this.now + this.wallOffsetMs);
        return 'code' in answer
          ? { type: 'login-failed', attempt, failure: answer }
          : { type: 'logged-in', attempt, grant: answer };
      }
      case 'renew': {
        const { attempt } = effect;
        const answer = this.vault.renew(effect.token, this.now);
        return 'code' in answer
          ? { type: 'renewal-failed', attempt, failure: answer }
          : { type: 'renewed', attempt, grant: answer };
      }
      case 'find-token':
        return { type: 'token-found', token: this.file };
      case 'look-up': {
        const { attempt } = effect;
        const answer = this.vault.lookup(effect.token, this.now, this.wallOffsetMs);
        return 'code' in answer
          ? { type: 'lookup-failed', attempt, failure: answer }
          : { type: 'looked-up', attempt, life: answer };
      }
      case 'revoke':
        this.vault.issued.delete(effect.token.secret.reveal());
        return { type: 'revoked', attempt: effect.attempt };
      case 'deliver': {
        const { sink, attempt } = effect;
        if (this.sinkFailure !== undefined)
          return { type: 'delivery-failed', sink, attempt, failure: this.sinkFailure };
        const written = this.file?.equals(effect.token.secret) !== true;
        this.file = effect.token.secret;
        return { type: 'delivered', sink, attempt, written };
      }
      case 'run-hook':
        return { type: 'woke' };
      case 'withdraw':
        this.file = undefined;
        return { type: 'withdrawn' };
    }
  }

  /** Adds a line to the transcript, unless the event changed nothing. */
  #tell(before: State, event: ExchangeEvent): void {
    const failed = 'failure' in event ? `${event.type} ${event.failure.code}` : undefined;
    const isNewUnreadable =
      event.type !== 'jwt-unreadable' || before.reading.failure?.failure.code !== event.failure.code;
    const news = failed === undefined ? this.#success(before, event) : isNewUnreadable && failed;
    if (news) this.note(news);
  }

  #success(before: State, event: ExchangeEvent): string | undefined {
    if (event.type === 'jwt-read')
      return this.state.jwt?.serial === before.jwt?.serial ? undefined : `jwt ${this.state.jwt?.serial}`;
    if (event.type === 'delivered') return event.written ? 'delivered' : undefined;
    return ['logged-in', 'renewed', 'looked-up', 'revoked', 'withdrawn'].includes(event.type) ? event.type : undefined;
  }
}

/** The failures of calls that hang beyond their timeout. They don't reach Vault. */
const FAILED = {
  'log-in': 'login-failed',
  renew: 'renewal-failed',
  'look-up': 'lookup-failed',
  revoke: 'revocation-failed',
} as const;

function callOf(effect: Effect, at: number): CallRecord | undefined {
  if (effect.type === 'log-in') return { at, operation: 'login' };
  if (effect.type === 'look-up') return { at, operation: 'lookup' };
  return effect.type === 'renew' || effect.type === 'revoke' ? { at, operation: effect.type } : undefined;
}

export function settingsOf(): ExchangeSettings {
  return {
    name: 'app',
    vault: { address: 'http://127.0.0.1:8200', tls: {}, timeoutMs: 15_000, redirectHosts: [], useProxyEnv: false },
    source: { kind: 'file', path: '/jwt/token', pollIntervalMs: 10_000 },
    login: { mount: 'jwt', role: 'app' },
    expect: {},
    onStart: 'login',
    onNewJwt: 'login',
    onReplace: 'keep',
    revokeDelayMs: 30_000,
    checkIntervalMs: 0,
    onStop: 'keep',
    sinks: [],
  };
}
