// A sidecar's month: the real exchanges on a simulated host, with Vaults and an issuer, under the faults of a plan. Keeps the
// books on who may be unwell and until when; what must hold is checked in promises.ts and call-promises.ts.

import type { ExchangeSettings } from '../../src/core/settings.ts';
import { chanceOf, clockedRandom } from '../support/random.ts';
import { SimulatedHost } from '../support/simulated-host.ts';
import { SimulatedSidecar } from '../support/simulated-sidecar.ts';
import { SimulatedTime, T0 } from '../support/simulated-time.ts';
import { Ledger, SimulatedVault } from '../support/simulated-vault.ts';
import { CallPromises } from './call-promises.ts';
import { fedAnew, isFedBy, usesVault } from './family.ts';
import { KINDS } from './faults.ts';
import { Health } from './health.ts';
import { clockOf, DAY, describeFault, type Fault, HOUR, MINUTE, type Plan, SECOND, SLOW_MS } from './plan.ts';
import { Promises } from './promises.ts';

export interface Outcome {
  readonly steps: number;
  readonly calls: number;
  readonly violation: Violation | undefined;
  /** the last lines of log and story */
  readonly story: readonly string[];
}

export interface Violation {
  /** the row or invariant that is broken */
  readonly rule: string;
  readonly text: string;
  readonly at: number;
}

const STORY_LINES = 60;
const START_MS = 15 * SECOND;
/** In the quiet between faults timers are this late, so that a month takes a second: a machine that has better to do. */
const MOST_SLACK_MS = 20 * MINUTE;

export class Life {
  readonly plan: Plan;
  readonly time = new SimulatedTime();
  readonly ledger = new Ledger();
  readonly vaults: readonly SimulatedVault[];
  readonly host: SimulatedHost;
  readonly sidecar: SimulatedSidecar;
  readonly chance;
  /** the config in force, or about to be */
  settings: readonly ExchangeSettings[];
  /** exchanges whose JWT is not renewed */
  readonly stalledIssuers = new Set<string>();
  /** by fault: how late timers are at most */
  readonly lateBy = new Map<number, number>();
  violation: Violation | undefined;
  steps = 0;
  readonly #story: string[] = [];
  readonly #health: Health;
  readonly #promises: Promises;
  readonly #calls: CallPromises;
  #exact = 0;

  constructor(plan: Plan) {
    this.plan = plan;
    this.chance = chanceOf(clockedRandom(plan.seed, () => this.time.now));
    this.vaults = plan.setup.vaults.map(({ address, ...modes }) =>
      Object.assign(new SimulatedVault(address, this.time, this.ledger), modes),
    );
    this.settings = fedAnew(plan.setup.exchanges);
    this.#calls = new CallPromises(this);
    this.#promises = new Promises(this);
    this.#health = new Health(this.time, Math.max(...ttlsOf(plan)), () => this.#promises.probe());
    const { random } = this.chance;
    this.host = new SimulatedHost(this.time, this.vaults, random, {
      read: (path) => this.#promises.read(path),
      wrote: (path, content) => this.#promises.wrote(path, content),
      removed: (path) => this.#promises.removed(path),
      sent: (call) => this.#calls.sent(call),
      settled: (call) => this.#calls.settled(call),
    });
    this.sidecar = new SimulatedSidecar({
      time: this.time,
      host: this.host,
      random,
      onLine: (line) => {
        this.tell(line.trim().replace(/"time":"[^"]*",/, ''));
        this.#promises.logged(line);
      },
      onStep: (...step) => {
        this.steps += 1;
        this.#promises.stepped(...step);
        this.#calls.stepped(...step);
      },
    });
  }

  async live(): Promise<Outcome> {
    const { time, plan } = this;
    this.#planTurns();
    time.at(T0, () => this.start());
    const end = T0 + plan.days * DAY;
    await this.#guarded(() => time.pass(end, () => this.violation !== undefined));
    this.#exact += 1;
    if (this.violation === undefined) this.stop();
    await this.#guarded(() => time.pass(time.now + 6 * SECOND, () => this.violation !== undefined));
    this.sidecar.kill();
    return { steps: this.steps, calls: this.#calls.count, violation: this.violation, story: this.#story };
  }

  /** Notes the first promise that is broken. */
  broken(rule: string, text: string): void {
    this.violation ??= { rule, text, at: this.time.now };
  }

  tell(text: string): void {
    this.#story.push(`${clockOf(this.time.now - T0)} ${text}`);
    if (this.#story.length > STORY_LINES) this.#story.shift();
  }

  // the process
  start(): void {
    if (this.sidecar.exchanges !== undefined) return;
    this.tell('-- starts');
    for (const { name } of this.settings) this.#health.mustBeWellIn(name, START_MS);
    this.shake(this.names());
    this.sidecar.start(this.settings);
  }

  kill(): void {
    this.tell('-- is gone');
    this.sidecar.kill();
    this.#promises.killed();
  }

  /** SIGTERM */
  stop(): void {
    this.tell('-- stops');
    this.#promises.stops();
  }

  reload(settings: readonly ExchangeSettings[]): void {
    this.tell(`-- reload: ${settings.map(({ name, login, vault }) => `${name} ${login.role} ${vault.address}`)}`);
    const before = new Map(this.settings.map((one) => [one.name, one]));
    const changed = settings.filter((one) => before.get(one.name) !== one).map(({ name }) => name);
    this.settings = settings;
    for (const name of changed) if (!before.has(name)) this.#health.mustBeWellIn(name, START_MS);
    this.shake(changed);
    if (this.#promises.isStopping) return;
    this.#promises.reloaded();
    this.sidecar.reload(settings, (error) => this.broken('V7', `a reload failed: ${error}`));
  }

  names = (): string[] => this.settings.map(({ name }) => name);

  // the issuer
  writeJwt(name: string, { isTold = true, lifeMs = this.plan.setup.jwtLifeMs } = {}): void {
    const path = `/jwt/${name}`;
    const text = this.ledger.issueJwt(name, this.time.now, lifeMs);
    this.host.put(path, `${text}\n`, this.chance.pick(['whole', 'in place']));
    if (isTold) this.host.hint(path);
    this.#promises.jwtWritten(name, text, isTold);
  }

  resumeIssuer(name: string): void {
    this.stalledIssuers.delete(name);
    this.writeJwt(name);
  }

  // who has to do with what

  usesVault(name: string, address: string): boolean {
    const one = this.#settingsOf(name);
    return one !== undefined && usesVault(one, address);
  }

  /** True for the exchange itself, and for one whose JWTs it asks Vault for. */
  feeds(name: string, exchange: string): boolean {
    const fed = this.#settingsOf(exchange);
    return name === exchange || (fed !== undefined && isFedBy(fed, name));
  }

  writesTo = (name: string, path: string): boolean =>
    this.#settingsOf(name)?.sinks.some((sink) => sink.path === path) === true;

  /** True where renewals alone keep a token alive for the whole month. */
  renews({ tokenType, maxTtlMs }: SimulatedVault): boolean {
    return tokenType === 'service' && maxTtlMs > 31 * DAY;
  }

  renewsFor(name: string): boolean {
    const address = this.#settingsOf(name)?.vault.address;
    return this.vaults.some((vault) => vault.address === address && this.renews(vault));
  }

  /** How often the JWT is read if nothing else tells. */
  pollMs(name: string): number {
    const source = this.#settingsOf(name)?.source;
    return source?.kind === 'file' ? source.pollIntervalMs : 0;
  }

  spoiled = (path: string): void => this.#promises.spoiled(path);
  hasLoggedInWith = (jwt: string): boolean => this.#calls.hasLoggedInWith(jwt);

  #settingsOf(name: string): ExchangeSettings | undefined {
    return this.settings.find((one) => one.name === name);
  }

  // health

  /** True where an exchange must be ready now. */
  isDue(name: string): boolean {
    const isUp = this.sidecar.exchanges !== undefined && !this.#promises.isStopping;
    // a short lease, or one that ends with the maximum TTL, may be too short for timers that are late
    const isSeen = this.isExact || (Math.min(...ttlsOf(this.plan)) >= HOUR && this.vaults.every(this.renews));
    return isUp && isSeen && this.#health.isWell(name);
  }

  /** True while a fault touches the exchange, or did so minutes ago. */
  isHeldUp = (name: string): boolean => this.#health.isHeldUp(name);

  /** Something happened that makes whatever is wrong just now a reason to be unwell. */
  shake = (names: readonly string[]): void => this.#health.shake(names);

  /** Those that live on the tokens of others may be unwell for a while. */
  excuseTheFed(ms: number): void {
    for (const { name, source } of this.plan.setup.exchanges)
      if (source.kind === 'vault-identity') this.#health.mustBeWellIn(name, ms + SLOW_MS);
  }

  /** True while timers are on the instant: so around faults, and not in the quiet between. */
  get isExact(): boolean {
    return this.#exact > 0;
  }

  #begin(fault: Fault): void {
    const kind = KINDS[fault.kind];
    if (kind === undefined) throw new Error(`unknown fault ${fault.kind}`);
    this.tell(`>> fault ${describeFault(fault)}`);
    const fragile = this.#health.fragile(this.names());
    this.#health.begins(fault.id, kind.begin(this, fault), this.names(), fragile);
    this.time.at(this.time.now + fault.forMs, () => this.#end(fault));
  }

  #end({ id }: Fault): void {
    this.tell(`<< fault ${id} is over`);
    const isFed = (name: string) => this.#settingsOf(name)?.source.kind === 'vault-identity';
    const recoveryMs = this.#health.ends(id, isFed);
    this.time.at(this.time.now + recoveryMs + MINUTE, () => this.#lookAway());
    void this.#promises.metricsHold();
    this.time.touch();
  }

  /** Faults, the issuer's rotations, probes, and where time is looked at closely. */
  #planTurns(): void {
    const { time, plan, chance } = this;
    const shortestMs = Math.min(...ttlsOf(plan));
    const slackMs = shortestMs < HOUR ? MOST_SLACK_MS : Math.min(MOST_SLACK_MS, shortestMs / 8);
    time.lateness = () => {
      const faultMs = this.lateBy.size === 0 ? 0 : Math.max(...this.lateBy.values());
      if (this.isExact) return faultMs === 0 ? 0 : chance.random() * faultMs;
      return slackMs * (0.5 + chance.random() / 2);
    };
    this.#lookClosely();
    time.at(T0 + 5 * MINUTE, () => this.#lookAway());
    for (const fault of plan.faults) {
      time.at(T0 + fault.atMs - 2 * MINUTE, () => this.#lookClosely());
      time.at(T0 + fault.atMs, () => this.#begin(fault));
    }
    for (const { name, source } of this.settings) if (source.kind === 'file') this.#rotate(name);
    this.#probeAgain();
  }

  #lookClosely(): void {
    // what was late until now comes at once
    if (!this.isExact) for (const name of this.names()) this.#health.mustBeWellIn(name, MINUTE);
    this.#exact += 1;
    this.time.catchUp();
  }

  #lookAway(): void {
    this.#exact -= 1;
  }

  #rotate(name: string): void {
    if (!this.stalledIssuers.has(name)) this.writeJwt(name);
    this.time.at(this.time.now + this.plan.setup.rotationMs, () => this.#rotate(name));
  }

  #probeAgain(): void {
    this.#promises.probe();
    const pauseMs = this.isExact ? this.chance.spread(SECOND, 2 * MINUTE) : this.chance.spread(MINUTE, 20 * MINUTE);
    this.time.at(this.time.now + pauseMs, () => this.#probeAgain());
  }

  async #guarded(run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (error) {
      this.broken('V7', `an exception ends the process: ${error instanceof Error ? error.stack : error}`);
    }
  }
}

const ttlsOf = ({ setup }: Plan): number[] => setup.vaults.map(({ ttlMs }) => ttlMs);
