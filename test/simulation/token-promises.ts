// Checks the promises about which token an exchange holds: only one of its own Vault and role, after a restart the one in its
// file exactly if that is usable, and soon another one after somebody has revoked it.

import type { ExchangeSettings } from '../../src/core/settings.ts';
import type { State } from '../../src/core/state.ts';
import type { MintedToken } from '../support/simulated-vault.ts';
import type { Life } from './life.ts';
import { type Fault, MINUTE, SECOND } from './plan.ts';

/** A login after a start, with a lookup before it. */
const STARTED_MS = 15 * SECOND;
/** With less time left, whether a token is taken over depends on the latency. */
const USABLE_MS = MINUTE;
/** The login after the call that noticed, with a call in flight and the budget of logins before it. */
const LOGIN_MS = 10 * SECOND;
/** Only later, the budget of logins is certainly full again. */
const SETTLED_MS = 15 * SECOND;
/** From the first denied request of an application to the new token. */
const IN_USE_MS = 5 * SECOND;
/** The interval of checks, with its jitter. */
const CHECK_SHARE = 1.1;
const RENEWAL_SHARE = 0.475;
/** Without a check that works, further checks end after so many tokens: the policies may lack lookup-self. */
const MOST_DENIED_CHECKS = 2;

/** What a start found in the files of an exchange. */
interface Found {
  readonly settings: ExchangeSettings;
  readonly jwt: string | undefined;
  readonly token: string | undefined;
  /** undefined: either may happen */
  readonly isUsable: boolean | undefined;
}

export class TokenPromises {
  readonly #life: Life;
  readonly #states = new Map<string, State>();
  /** where this process logged in, by exchange; the place in force is the last one */
  readonly #places = new Map<string, string[]>();

  constructor(life: Life) {
    this.#life = life;
  }

  stepped(name: string, state: State): void {
    this.#states.set(name, state);
  }

  /** Called when a process starts. */
  started(settings: readonly ExchangeSettings[]): void {
    this.#places.clear();
    this.configured(settings);
    const { time } = this.#life;
    const [startedAt, alone] = [time.now, this.#life.lonelyFault];
    const found = settings.map((one) => this.#find(one));
    const life = time.life;
    time.at(startedAt + STARTED_MS, () => {
      const isCalm = time.life === life && this.#isCalm(alone);
      if (isCalm) for (const one of found) this.#startedWell(one, startedAt);
    });
  }

  /** Called when the process gets a config. */
  configured(settings: readonly ExchangeSettings[]): void {
    for (const name of this.#places.keys()) if (!settings.some((one) => one.name === name)) this.#places.delete(name);
    for (const { name, vault, login } of settings)
      this.#places.set(name, [...(this.#places.get(name) ?? []), placeOf(vault.address, login.role)]);
  }

  /** The token of an earlier config is served until the first login under the next one, but never in the next process. */
  served(name: string, { vault, role }: MintedToken): void {
    const places = this.#places.get(name) ?? [];
    const at = places.lastIndexOf(placeOf(vault.address, role));
    if (at < 0) this.#life.broken('V11', `${name} serves a token of ${role} at ${vault.address}, not of ${places}`);
    else this.#places.set(name, places.slice(at));
  }

  /**
   * Called when a fault has revoked the token that the exchange serves. Checks that the exchange has another one in time. Checks
   * nothing if that time is after the end of the fault, or if another fault interferes.
   */
  revoked(name: string, text: string, { id, forMs }: Fault, isInUse: boolean): void {
    const { time } = this.#life;
    const { life, now } = time;
    const soonMs = this.#noticedMs(name, isInUse);
    if (soonMs > forMs || this.#life.family.isFed(name)) return;
    time.at(now + soonMs, () => {
      if (time.life !== life || !this.#isCalm(id)) return;
      if (this.#servedBy(name) === text)
        this.#life.broken('K17', `${name} still serves a token ${soonMs} ms after it was revoked`);
    });
  }

  /** How long an exchange takes to replace a token that has been revoked just now. */
  #noticedMs(name: string, isInUse: boolean): number {
    const { token, deniedChecks = 0 } = this.#states.get(name) ?? {};
    const { checkIntervalMs = 0 } = this.#life.family.of(name) ?? {};
    const { now } = this.#life.time;
    if (token === undefined) return Number.POSITIVE_INFINITY;
    const renewalMs = token.grantedAt + Math.max(SECOND, RENEWAL_SHARE * token.leaseMs) - now;
    const ways = [Math.max(0, renewalMs) + LOGIN_MS];
    const isChecked = deniedChecks < MOST_DENIED_CHECKS;
    if (isChecked && checkIntervalMs > 0 && token.numUses === 0) ways.push(CHECK_SHARE * checkIntervalMs + LOGIN_MS);
    if (isChecked && isInUse && token.issuedAt + SETTLED_MS < now) ways.push(IN_USE_MS);
    return Math.min(...ways);
  }

  #find(settings: ExchangeSettings): Found {
    const { host, ledger } = this.#life;
    const { name, source, sinks } = settings;
    const jwt = source.kind === 'file' ? host.files.get(source.path)?.trim() : undefined;
    const [path = ''] = sinks.filter(({ format }) => format === 'json').map((sink) => sink.path);
    const token = tokenIn(path, host.files.get(path) ?? '');
    const known = ledger.tokens.get(token ?? '');
    const isOurs = known !== undefined && known.role === settings.login.role && this.#isAt(known, settings);
    if (settings.onStart === 'login' || !isOurs || known.expiresAt <= this.#life.time.now)
      return { settings, jwt, token, isUsable: false };
    // a token that is renewed lives on, and a JWT issued after it asks for a login
    const isLasting = known.expiresAt > this.#life.time.now + USABLE_MS && this.#life.family.renewsFor(name);
    const isOfJwt = jwt !== undefined && (ledger.jwtIssuedAt(jwt) ?? Number.POSITIVE_INFINITY) <= known.issuedAt;
    return { settings, jwt, token, isUsable: (isLasting && isOfJwt) || undefined };
  }

  #isAt = ({ vault }: MintedToken, settings: ExchangeSettings): boolean => vault.address === settings.vault.address;

  #startedWell({ settings, jwt, token, isUsable }: Found, startedAt: number): void {
    const { name, source } = settings;
    const { ledger, host } = this.#life;
    const served = this.#servedBy(name);
    const isAsBefore = this.#life.family.of(name) === settings;
    if (served === undefined || !isAsBefore || isUsable === undefined) return;
    const isNewJwt = source.kind === 'file' && host.files.get(source.path)?.trim() !== jwt;
    if (isUsable && served !== token && !isNewJwt)
      this.#life.broken('V14', `${name} has another token after a restart than its file`);
    if (!isUsable && (ledger.tokens.get(served)?.issuedAt ?? 0) < startedAt)
      this.#life.broken('V14', `${name} has an old token after a restart without a usable file`);
  }

  #servedBy(name: string): string | undefined {
    const view = this.#life.sidecar.exchanges?.views().find((one) => one.name === name);
    return view?.token()?.secret.reveal();
  }

  /** Whether the fault that was alone is still alone, or there is still none, on punctual timers. */
  #isCalm(alone: number | undefined): boolean {
    const { isExact, isStopping, lonelyFault, sidecar } = this.#life;
    return isExact && !isStopping && !sidecar.isApplying && alone !== undefined && alone === lonelyFault;
  }
}

const placeOf = (address: string, role: string): string => `${role} at ${address}`;

/** The token in a sink's file, by the format in the file's extension; undefined if the file isn't complete. */
export function tokenIn(path: string, content: string): string | undefined {
  if (path.endsWith('.env')) return /^VAULT_TOKEN=(\S+)\n$/.exec(content)?.[1];
  if (path.endsWith('.raw')) return /^\S+$/.exec(content)?.[0];
  try {
    return JSON.parse(content).token;
  } catch {
    return undefined;
  }
}
