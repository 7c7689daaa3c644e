// Checks the promises about calls to Vault: their rate, the backoff after failures, one at a time, and each secret only
// to the Vault that it belongs to. The limits are repeated here on purpose, independently of the code.

import { callDeadline } from '../../src/core/schedule.ts';
import type { ExchangeEvent, Moment, Policy, State } from '../../src/core/state.ts';
import type { CallRecord } from '../support/simulated-host.ts';
import type { Life } from './life.ts';
import { MINUTE, SECOND } from './plan.ts';

const CALL_GAP_MS = SECOND;
/** The login budget is two at once, then one every 5 s: the third of three logins is at least this long after the first. */
const THREE_LOGINS_MS = 5 * SECOND;
const MOST_FAILED = [
  { windowMs: MINUTE, most: 12 },
  { windowMs: 15 * MINUTE, most: 40 },
] as const;

const REUSED_MS = 11 * SECOND;

type Counted = 'login' | 'renew';

/** The calls of one runner, which is identified by its policy. */
interface Conduct {
  readonly inFlight: Set<CallRecord>;
  lastAt: number;
  /** the latest two, without those that a lagging node refused with 412 */
  logins: readonly CallRecord[];
  last: CallRecord | undefined;
  readonly failedAt: number[];
  /** the waiting times that consecutive failures require */
  readonly waits: Map<Counted, { readonly count: number; readonly notBefore: number }>;
}

export class CallPromises {
  count = 0;
  readonly #life: Life;
  readonly #conducts = new WeakMap<Policy, Conduct>();
  readonly #callers = new WeakMap<CallRecord, Conduct>();
  readonly #usedJwts = new Set<string>();
  /** the policy of the current step, whose calls follow at once */
  #stepping: Policy | undefined;

  constructor(life: Life) {
    this.#life = life;
  }

  hasLoggedInWith(jwt: string): boolean {
    return this.#usedJwts.has(jwt);
  }

  sent(call: CallRecord): void {
    this.count += 1;
    const { operation, at, settings, vault } = call;
    const policy = this.#stepping;
    const broken = (rule: string, text: string) =>
      this.#life.broken(rule, `${policy?.settings.name}, ${operation} to ${vault.address}: ${text}`);
    this.#guardSecrets(call, broken);
    if (operation === 'identity') return;
    if (operation === 'revoke') {
      this.#guardTokenInUse(call, policy?.settings.name, broken);
      return;
    }
    if (policy === undefined || policy.settings.vault !== settings) throw new Error('a call without an exchange');
    const conduct = this.#conductOf(policy);
    this.#callers.set(call, conduct);
    conduct.inFlight.add(call);
    // A call past its deadline counts as failed, even if the process was stopped and hasn't run the client's timer yet.
    const pending = [...conduct.inFlight].filter(
      (one) => at - one.at < callDeadline({ ...one.settings, ...one.request }),
    );
    if (pending.length > 1) broken('V4', 'two calls in flight');
    if (at - conduct.lastAt < CALL_GAP_MS) broken('V4', `${at - conduct.lastAt} ms after the call before`);
    if (operation === 'login') {
      const paid = conduct.logins.filter(({ reply }) => reply?.status !== 412);
      const [first] = paid.slice(-2);
      if (paid.length >= 2 && first !== undefined && at - first.at < THREE_LOGINS_MS)
        broken('V4', `three logins within ${at - first.at} ms`);
      conduct.logins = [...paid.slice(-1), call];
    }
    const wait = operation === 'lookup' ? undefined : conduct.waits.get(operation);
    if (wait !== undefined && at < wait.notBefore)
      broken('V4', `${Math.ceil(wait.notBefore - at)} ms too soon after failure ${wait.count} in a row`);
    conduct.lastAt = at;
  }

  settled(call: CallRecord): void {
    const conduct = this.#callers.get(call);
    if (conduct === undefined) return;
    conduct.inFlight.delete(call);
    conduct.last = call;
    this.#noteToken(call);
  }

  /** Failures require a wait; successes, refreshes and new JWTs end it. */
  stepped(policy: Policy, before: State, after: State, event: ExchangeEvent, { now }: Moment): void {
    this.#stepping = policy;
    const { waits } = this.#conductOf(policy);
    switch (event.type) {
      case 'refresh-requested':
      case 'retry-requested':
      case 'logged-in':
      case 'renewed':
        waits.clear();
        return;
      case 'login-failed':
      case 'renewal-failed':
        if (before.call?.attempt === event.attempt) this.#failed(policy, after, event.type, now);
        return;
      default:
        if (after.jwt?.serial !== before.jwt?.serial) waits.delete('login');
    }
  }

  #failed(policy: Policy, after: State, event: 'login-failed' | 'renewal-failed', now: number): void {
    const { waits, last, failedAt } = this.#conductOf(policy);
    const { token } = after;
    const operation = event === 'login-failed' ? 'login' : 'renew';
    const count = (waits.get(operation)?.count ?? 0) + 1;
    const leftMs = (token?.expiresAt ?? 0) - now;
    const capMs = leftMs > 0 ? Math.max(2 * SECOND, Math.min(MINUTE, leftMs / 10)) : MINUTE;
    const backoffMs = Math.min(capMs, SECOND * 2 ** (count - 1)) / 2;
    // the refusal of a JWT doesn't delay a newer JWT
    const isOutdated = operation === 'login' && after.loginStreak === undefined;
    if (isOutdated) waits.delete(operation);
    else waits.set(operation, { count, notBefore: now + Math.max(backoffMs, askedFor(last)) });
    failedAt.push(last?.at ?? now);
    for (const { windowMs, most } of MOST_FAILED) {
      const past = failedAt.at(-1 - most);
      if (past !== undefined && (last?.at ?? now) - past < windowMs)
        this.#life.broken('V4', `${policy.settings.name}: more than ${most} failed calls in ${windowMs / MINUTE} min`);
    }
  }

  /** Records the tokens that were granted to this run of the process. */
  #noteToken({ reply, vault, operation, request }: CallRecord): void {
    const text = /"client_token":"([^"]+)"/.exec(reply?.body.reveal() ?? '')?.[1];
    const token = this.#life.ledger.tokens.get(text ?? '');
    if (token?.vault === vault) token.heldInLife = this.#life.time.life;
    const known =
      operation === 'lookup' && reply?.status === 200
        ? this.#life.ledger.tokens.get(request.token?.reveal() ?? '')
        : undefined;
    // a token with less time left isn't taken over
    if (known !== undefined && known.expiresAt > this.#life.time.now + REUSED_MS)
      known.heldInLife = this.#life.time.life;
  }

  /** Checks that a token is sent only to the Vault that granted it. */
  #guardSecrets({ request, vault }: CallRecord, broken: (rule: string, text: string) => void): void {
    const token = this.#life.ledger.tokens.get(request.token?.reveal() ?? '');
    if (request.token !== undefined && token?.vault !== vault) broken('V11', 'a token goes to another Vault');
    const jwt = /"jwt":"([^"]+)"/.exec(request.body?.reveal() ?? '')?.[1];
    if (jwt !== undefined) this.#usedJwts.add(jwt);
  }

  /** Checks that no token is revoked that is still served, or in a sink that the exchange has written. */
  #guardTokenInUse(
    { request }: CallRecord,
    name: string | undefined,
    broken: (rule: string, text: string) => void,
  ): void {
    const { sidecar, isStopping } = this.#life;
    if (isStopping || sidecar.isApplying) return;
    const served = sidecar.exchanges
      ?.views()
      .find((view) => view.name === name)
      ?.token()?.secret;
    if (served !== undefined && request.token?.equals(served) === true) broken('V13', 'the token in use is revoked');
  }

  #conductOf(policy: Policy): Conduct {
    const known = this.#conducts.get(policy);
    if (known !== undefined) return known;
    const fresh: Conduct = {
      inFlight: new Set(),
      lastAt: Number.NEGATIVE_INFINITY,
      logins: [],
      last: undefined,
      failedAt: [],
      waits: new Map(),
    };
    this.#conducts.set(policy, fresh);
    return fresh;
  }
}

/** The wait that a reply requires: Retry-After, and a minute after an expired JWT. */
function askedFor(call: CallRecord | undefined): number {
  const { headers = {}, body } = call?.reply ?? {};
  const seconds = /^\d{1,10}$/.exec(headers['retry-after'] ?? '')?.[0];
  const retryAfterMs = seconds === undefined ? 0 : Math.max(1, Math.min(300, Number(seconds))) * SECOND;
  const isExpired = call?.operation === 'login' && body?.reveal().includes('token is expired') === true;
  return Math.max(retryAfterMs, isExpired ? MINUTE : 0);
}
