// Checks the promises about tokens, sinks, readiness and output against the state of the simulated world. A rule is
// named after its invariant or matrix row. The promises about calls to Vault are in call-promises.ts, those about which
// token is held in token-promises.ts.

import type { ExchangeSettings } from '../../src/core/settings.ts';
import type { ExchangeEvent, Moment, Policy, State } from '../../src/core/state.ts';
import { servedToken } from '../../src/core/status.ts';
import type { ExchangeView } from '../../src/exchange/view.ts';
import type { Life } from './life.ts';
import { SECOND } from './plan.ts';
import { TokenPromises, tokenIn } from './token-promises.ts';

const CANARY = /CANARY|eyJ[\w-]+\.eyJ/;
const STOP_MS = 1500;
/** The maximum duration of a call, with a late timer. */
const LINGERING_MS = 30 * SECOND;
/** The longest wait of the clock before it looks at the time again. */
const LATEST_TIMER_MS = 30 * SECOND;
/** The number of tokens that can be revoked during a stop. */
const MOST_REVOKED = 15;
/** Detects a hot loop. */
const STEPS_A_SECOND = 100;
const FROM_OUTSIDE = new Set(['jwt-hinted', 'refresh-requested', 'retry-requested']);
const HINT_TO_READ_MS = 200;
/** The minimum of 5 s between logins, the gap between calls, and latency. */
const JWT_TO_LOGIN_MS = 8 * SECOND;
const RESTORED_MS = 11 * SECOND;
/** A few revocations, one after the other, and the calls that come before them. */
const REVOKED_MS = 2 * LATEST_TIMER_MS;

export class Promises {
  readonly tokens: TokenPromises;
  readonly #life: Life;
  readonly #written = new Map<string, number>();
  readonly #spoiledUntil = new Map<string, number>();
  readonly #readAt = new Map<string, number>();
  readonly #busy = new Map<string, { second: number; steps: number }>();
  isStopping = false;
  /** when the latest reloads were applied, at the earliest */
  #appliedAt: readonly number[] = [];
  #heldUntil = Number.NEGATIVE_INFINITY;

  constructor(life: Life) {
    this.#life = life;
    this.tokens = new TokenPromises(life);
  }

  /** Called after each step of an exchange. */
  stepped(policy: Policy, before: State, after: State, event: ExchangeEvent, { now }: Moment): void {
    const { name } = policy.settings;
    const broken = (rule: string, text: string) => this.#life.broken(rule, `${name}, ${event.type}: ${text}`);
    if (after.generation < before.generation) broken('V2', 'an older token');
    const [wasServed, served] = [servedToken(before, now), servedToken(after, now)];
    if (served !== undefined && served.expiresAt <= now) broken('V1', 'an expired token is served');
    // a renewal may shorten the lease, if Vault says so
    const isCutShort = event.type === 'renewed' && (after.token?.expiresAt ?? now) <= now;
    if (wasServed !== undefined && served === undefined && after.stopping === undefined && !isCutShort)
      broken('V3', 'a good token was dropped');
    if (after.token !== undefined && after.token.revision !== before.token?.revision) {
      const { toldUntil = Number.POSITIVE_INFINITY } = this.#life.ledger.tokens.get(after.token.secret.reveal()) ?? {};
      if (after.token.expiresAt > toldUntil) broken('V1', 'a lease is counted as longer than Vault granted');
    }
    for (const [index, sink] of after.sinks.entries()) {
      const starts = sink.writing !== undefined && sink.writing !== before.sinks[index]?.writing;
      if (starts && (sink.writing?.expiresAt ?? 0) <= now) broken('V1', 'an expired token is written');
    }
    this.#noReplacedTokenLingers(policy, after, now);
    this.tokens.stepped(name, after);
    if (FROM_OUTSIDE.has(event.type)) return;
    const second = Math.floor(now / SECOND);
    const busy = this.#busy.get(name);
    if (busy?.second !== second) this.#busy.set(name, { second, steps: 1 });
    else if (++busy.steps > STEPS_A_SECOND) broken('V4', `more than ${STEPS_A_SECOND} steps in a second`);
  }

  /** With `on_replace: revoke`, two tokens live side by side for the delay and a call. */
  #noReplacedTokenLingers(
    { settings: { name, onReplace, revokeDelayMs, vault } }: Policy,
    { replaced }: State,
    now: number,
  ): void {
    const isCalm = this.#life.isExact && this.#life.isDue(name) && !this.#life.isHeldUp(name);
    if (onReplace !== 'revoke' || !isCalm) return;
    const isLate = (at: number | undefined) => at !== undefined && at + revokeDelayMs + REVOKED_MS < now;
    const here = replaced.filter(({ origin }) => origin.address === vault.address);
    if (here.some(({ outOfUseAt, expiresAt }) => isLate(outOfUseAt) && expiresAt > now + LATEST_TIMER_MS))
      this.#life.broken('V13', `${name}: a replaced token still lives`);
  }

  logged(line: string): void {
    if (CANARY.test(line)) this.#life.broken('V5', `a secret in a log line: ${line}`);
    if (!line.includes('"not_ready"') || this.isStopping) return;
    const { exchange, reasons } = JSON.parse(line);
    if (this.#life.isDue(exchange)) this.#life.broken('V8', `${exchange} stops being ready: ${reasons}`);
  }

  wrote(path: string, content: string): void {
    const text = tokenIn(path, content);
    const token = this.#life.ledger.tokens.get(text ?? '');
    if (token === undefined) {
      this.#life.broken('V1', `${path} doesn't hold a token: ${content.length} bytes`);
      return;
    }
    const last = this.#written.get(path) ?? 0;
    if (token.order < last) this.#life.broken('V2', `${path} goes from token ${last} back to ${token.order}`);
    this.#written.set(path, token.order);
  }

  removed(path: string): void {
    const owner = this.#life.settings.find(({ sinks }) => sinks.some((sink) => sink.path === path));
    const mayGo = this.isStopping || this.#life.sidecar.isApplying || owner === undefined;
    if (!mayGo) this.#life.broken('V3', `${path} is removed`);
  }

  /** Called when a fault changes a sink's file. */
  spoiled(path: string): void {
    this.#spoiledUntil.set(path, this.#life.time.now + RESTORED_MS);
  }

  reloaded(): void {
    this.#appliedAt = [...this.#lingering(), Math.max(this.#life.time.now, this.#heldUntil)];
  }

  /** Called when the process is stopped, or the machine sleeps. Timers may be late by LATEST_TIMER_MS afterwards. */
  held(ms: number): void {
    this.#heldUntil = this.#life.time.now + ms + LATEST_TIMER_MS;
    this.#appliedAt = this.#lingering().map(() => this.#heldUntil);
  }

  /** The reloads whose previous clients may still be open. */
  #lingering(): readonly number[] {
    return this.#appliedAt.filter((at) => this.#life.time.now - at < LINGERING_MS);
  }

  killed(): void {
    this.isStopping = false;
  }

  read(path: string): void {
    this.#readAt.set(path, this.#life.time.now);
  }

  /** Checks that a file event is followed by a read, and a new JWT by a login, unless a fault is active. */
  jwtWritten(name: string, text: string, isTold: boolean): void {
    const { time, host } = this.#life;
    const path = `/jwt/${name}`;
    const writtenAt = time.now;
    const calm = () => this.#life.isExact && host.isWatching && this.#life.isDue(name) && !this.#life.isHeldUp(name);
    if (!isTold || !calm()) return;
    time.at(writtenAt + HINT_TO_READ_MS, () => {
      if (calm() && (this.#readAt.get(path) ?? 0) < writtenAt)
        this.#life.broken('A5', `${name}: a new JWT isn't read within ${HINT_TO_READ_MS} ms`);
    });
    time.at(writtenAt + JWT_TO_LOGIN_MS, () => {
      const { onNewJwt } = this.#life.settings.find((one) => one.name === name) ?? {};
      const isLatest = host.files.get(path)?.trim() === text;
      if (onNewJwt === 'login' && isLatest && calm() && !this.#life.hasLoggedInWith(text))
        this.#life.broken('A24', `${name}: no login with a new JWT within ${JWT_TO_LOGIN_MS} ms`);
    });
  }

  /** Called at any instant: checks that the status of the exchanges is true. */
  probe(): void {
    const { sidecar, time, host, settings } = this.#life;
    const { exchanges } = sidecar;
    if (exchanges === undefined || this.isStopping) return;
    const views = exchanges.views();
    for (const view of views) {
      const one = settings.find(({ name }) => name === view.name);
      if (one !== undefined) this.#probeView(view, one);
    }
    if (sidecar.isApplying) return;
    // each exchange has a Vault client, a source and a watch on the CA file
    const parts = views.length * 3;
    // the client of the previous config stays open for its call in flight
    const lingering = this.#lingering().length * views.length;
    // each exchange may be revoking a replaced token at the Vault of an earlier config
    const revoking = settings.filter(({ onReplace }) => onReplace === 'revoke').length;
    if (host.opened < parts || host.opened > parts + lingering + revoking)
      this.#life.broken('V10', `${host.opened} resources open, expected ${parts}`);
    if (time.timers > views.length + lingering)
      this.#life.broken('V10', `${time.timers} timers for ${views.length} exchanges`);
  }

  #probeView(view: ExchangeView, { name, sinks, vault }: ExchangeSettings): void {
    const { time, ledger, host } = this.#life;
    const status = view.status();
    const served = view.token();
    const token = ledger.tokens.get(served?.secret.reveal() ?? '');
    if (served !== undefined) {
      if (token === undefined) this.#life.broken('V1', `${name} serves a token that no Vault granted`);
      else if (token.toldUntil <= time.now) this.#life.broken('V1', `${name} serves a token after its lease`);
      else this.tokens.served(name, token);
    }
    if (status.authenticated !== (served !== undefined)) this.#life.broken('V9', `${name}: authenticated is wrong`);
    if (status.ready && served === undefined) this.#life.broken('V9', `${name} is ready without a token`);
    const isDue = this.#life.isDue(name);
    if (isDue && !status.ready) this.#life.broken('V8', `${name} isn't ready: ${status.reasons}, at ${vault.address}`);
    if (!status.ready) return;
    for (const { path } of sinks) {
      const held = ledger.tokens.get(tokenIn(path, host.files.get(path) ?? '') ?? '');
      const isSpoiled = time.now < (this.#spoiledUntil.get(path) ?? 0) || !this.#life.isExact;
      if (held === undefined && isDue && !isSpoiled) this.#life.broken('F15', `${path} holds no token`);
      if (held !== undefined && held.toldUntil <= time.now) this.#life.broken('V9', `${path} holds an expired token`);
    }
  }

  /** Checks that the metrics are true and contain no secret. */
  async metricsHold(): Promise<void> {
    const { sidecar } = this.#life;
    const isReady = new Map(sidecar.exchanges?.views().map((view) => [view.name, view.status().ready]));
    const body = await sidecar.metrics();
    if (CANARY.test(body)) this.#life.broken('V5', 'a secret in the metrics');
    for (const [name, ready] of isReady) {
      if (!body.includes(`\nvault_token_sidecar_ready{exchange="${name}"} ${ready ? 1 : 0}\n`))
        this.#life.broken('V9', `the metrics don't say that ${name} is ${ready ? '' : 'not '}ready`);
    }
  }

  /** Sends SIGTERM; checks that the process stops in time and leaves nothing behind. */
  stops(): void {
    const { sidecar, time, settings } = this.#life;
    if (sidecar.exchanges === undefined) return;
    const due = settings.filter(({ name }) => this.#life.isDue(name));
    this.isStopping = true;
    const { life } = time;
    let isStopped = false;
    void sidecar.stop().then(() => {
      if (life !== time.life) return;
      isStopped = true;
      this.#hasEnded(due);
      this.#life.kill();
    });
    // on the process's own clock, which stands still while the process is stopped
    time.forProcess(STOP_MS, () => {
      if (!isStopped) this.#life.broken('V12', `still there ${STOP_MS} ms after SIGTERM`);
    });
  }

  #hasEnded(due: readonly ExchangeSettings[]): void {
    const { host, time, ledger } = this.#life;
    if (host.opened !== 0 || time.timers !== 0)
      this.#life.broken('V10', `after the stop ${host.opened} resources are open and ${time.timers} timers set`);
    for (const { name, onStop, sinks } of due) {
      if (onStop !== 'revoke' || this.#life.isHeldUp(name)) continue;
      const live = [...ledger.tokens.values()].filter(
        ({ vault, role, expiresAt, heldInLife }) =>
          vault.tokenType === 'service' &&
          role.startsWith(`${name}#`) &&
          Number.isFinite(expiresAt) &&
          expiresAt > time.now &&
          heldInLife === time.life,
      );
      if (live.length > 0 && live.length < MOST_REVOKED)
        this.#life.broken('K23', `${name}: ${live.length} tokens aren't revoked at the stop`);
      for (const { path } of sinks) if (host.files.has(path)) this.#life.broken('I1', `${path} is left behind`);
    }
  }
}
