// A fleet of clients of one Vault, which serves a limited number of requests a second, queues further ones, and answers
// 503 if the queue is too long. The requests that arrive are counted for each second. The clients are in
// fleet-clients.ts.

import type { Failure } from '../../src/core/errors.ts';
import { seededRandom } from '../support/random.ts';
import { Agenda, T0 } from '../support/simulated-time.ts';
import { SECOND } from './plan.ts';

type Asked = 'login' | 'renew' | 'lookup';

export interface Scenario {
  readonly name: string;
  readonly clients: number;
  readonly ms: number;
  /** the clients start evenly over this time */
  readonly startOverMs: number;
  /** the failure of a call at a time since the start, if any */
  readonly trouble?: (operation: Asked, ms: number) => Failure | undefined;
  /** a span in which every call fails with `trouble`; the retries of naive clients in it are counted, not simulated */
  readonly outage?: readonly [fromMs: number, toMs: number];
  /** the sidecars delay their first login by a random time up to this */
  readonly startJitterMs?: number;
  /** requests a second beyond which Vault answers 429 */
  readonly quota?: number;
  /** Vault answers 503 if a request would wait longer; 10 s by default */
  readonly longestQueueMs?: number;
  /** how often a client asks whether its token is still known */
  readonly checkIntervalMs?: number;
  /** when Vault forgets all tokens */
  readonly forgetsAtMs?: number;
  /** an application sends a request with each client's token every second, and Vault denies those with a forgotten token */
  readonly isInUse?: boolean;
  /** the share of calls that are lost at random */
  readonly lossShare?: (ms: number) => number;
  /** each client gets a new JWT, evenly over this span */
  readonly newJwts?: readonly [fromMs: number, toMs: number];
}

export interface Load {
  /** requests that arrived, by the second since the start */
  readonly arrivals: Uint32Array;
  /** the logins among them */
  readonly logins: Uint32Array;
  /** requests that never arrived */
  readonly lost: number;
  /** requests that Vault answered with 429 or 503, besides those in `trouble` */
  readonly refused: number;
  /** the sum of all seconds in which a client had no valid token after its first one */
  readonly gapSeconds: number;
  /** when the last client got its first token */
  readonly allServedMs: number;
  /** the time from the loss of all tokens until each client has a valid one again */
  readonly recoveredMs: number;
}

const CAPACITY_PER_SECOND = 100;
const LONGEST_QUEUE_MS = 10 * SECOND;
/** The work of a lookup, which only reads, relative to that of a login or renewal, which write. */
const LOOKUP_COST = 0.1;
const TIMEOUT_MS = 15 * SECOND;
const WAY_MS = 20;

interface Client {
  begin(): void;
  newJwt(): void;
  /** Vault denied a request that the application sent with this client's token */
  denied(): void;
  hasToken(): boolean;
}

export type Kind = (fleet: Fleet, index: number) => Client;

export class Fleet {
  #lost = 0;
  #refused = 0;
  readonly scenario: Scenario;
  readonly arrivals: Uint32Array;
  readonly logins: Uint32Array;
  readonly random: () => number;
  now = T0;
  readonly #agenda = new Agenda();
  #busyUntil = T0;
  #quota = { second: 0, served: 0 };

  constructor(scenario: Scenario, seed: number) {
    this.scenario = scenario;
    this.random = seededRandom(seed);
    this.arrivals = new Uint32Array(Math.ceil(scenario.ms / SECOND) + 1);
    this.logins = new Uint32Array(this.arrivals.length);
  }

  run(kind: Kind): Load {
    const { clients, ms, startOverMs, newJwts, isInUse = false, forgetsAtMs } = this.scenario;
    const fleet = Array.from({ length: clients }, (_, index) => kind(this, index));
    for (const [index, client] of fleet.entries()) {
      this.at(T0 + (startOverMs * index) / clients, () => client.begin());
      if (isInUse && forgetsAtMs !== undefined) this.#use(client, T0 + forgetsAtMs + this.random() * SECOND);
      if (newJwts === undefined) continue;
      const [from, to] = newJwts;
      this.at(T0 + from + ((to - from) * index) / clients, () => client.newJwt());
    }
    const served = new Set<Client>();
    let [gapSeconds, allServedMs, recoveredMs] = [0, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    const look = () => {
      const held = fleet.filter((client) => client.hasToken());
      for (const client of held) served.add(client);
      gapSeconds += served.size - held.length;
      if (served.size === clients) allServedMs = Math.min(allServedMs, this.now - T0);
      const sinceLossMs = this.now - T0 - (forgetsAtMs ?? Number.POSITIVE_INFINITY);
      if (held.length === clients && sinceLossMs > 0) recoveredMs = Math.min(recoveredMs, sinceLossMs);
      this.at(this.now + SECOND, look);
    };
    look();
    for (let next = this.#agenda.first(); next !== undefined && next.at <= T0 + ms; next = this.#agenda.first()) {
      this.now = next.at;
      this.#agenda.take()?.();
    }
    const { arrivals, logins } = this;
    return { arrivals, logins, lost: this.#lost, refused: this.#refused, gapSeconds, allServedMs, recoveredMs };
  }

  #use(client: Client, at: number): void {
    this.at(at, () => {
      if (!client.hasToken()) client.denied();
      this.#use(client, at + SECOND);
    });
  }

  /** Whether Vault has forgotten a token that was issued at that time. */
  hasForgotten(issuedAt: number): boolean {
    const at = T0 + (this.scenario.forgetsAtMs ?? Number.POSITIVE_INFINITY);
    return this.now >= at && issuedAt < at;
  }

  at(at: number, happen: () => void): () => void {
    return this.#agenda.add(at, happen);
  }

  /** Sends a request; `settle` gets its failure, or undefined if it was granted. */
  ask(operation: Asked, settle: (failure: Failure | undefined) => void): void {
    const { lossShare } = this.scenario;
    const isLost = lossShare !== undefined && this.random() < lossShare(this.now - T0);
    if (isLost) this.#lost += 1;
    if (isLost) this.at(this.now + TIMEOUT_MS, () => settle({ code: 'vault_timeout' }));
    else
      this.at(this.now + WAY_MS, () => {
        this.#count(this.now, operation);
        const { failure, waitMs } = this.#answer(operation);
        this.at(this.now + WAY_MS + waitMs, () => settle(failure));
      });
  }

  /** Counts the requests of a client that retries every second until an outage is over. */
  countEverySecond(until: number): void {
    for (let at = this.now; at < until; at += SECOND) this.#count(at, 'renew');
  }

  #count(at: number, operation: Asked): void {
    const second = Math.floor((at - T0) / SECOND);
    for (const counts of operation === 'login' ? [this.arrivals, this.logins] : [this.arrivals])
      if (second < counts.length) counts[second] = (counts[second] ?? 0) + 1;
  }

  #answer(operation: Asked): { failure: Failure | undefined; waitMs: number } {
    const { trouble, quota, longestQueueMs = LONGEST_QUEUE_MS } = this.scenario;
    const failure = trouble?.(operation, this.now - T0);
    if (failure !== undefined) return { failure, waitMs: 0 };
    if (quota !== undefined && this.#isOverQuota(quota)) {
      this.#refused += 1;
      return { failure: { code: 'vault_rate_limited', retryAfterMs: SECOND }, waitMs: 0 };
    }
    const waitMs = Math.max(0, this.#busyUntil - this.now);
    if (waitMs > longestQueueMs) {
      this.#refused += 1;
      return { failure: { code: 'vault_unavailable' }, waitMs: 0 };
    }
    const cost = operation === 'lookup' ? LOOKUP_COST : 1;
    this.#busyUntil = this.now + waitMs + (cost * SECOND) / CAPACITY_PER_SECOND;
    return { failure: undefined, waitMs };
  }

  #isOverQuota(quota: number): boolean {
    const second = Math.floor(this.now / SECOND);
    if (this.#quota.second !== second) this.#quota = { second, served: 0 };
    this.#quota.served += 1;
    return this.#quota.served > quota;
  }
}
