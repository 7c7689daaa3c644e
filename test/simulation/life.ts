// A simulated month of a sidecar: the real exchanges on a simulated host, with Vaults and an issuer, under the faults
// of a plan. Tracks which exchanges may be unready and until when; promises.ts and call-promises.ts check the promises.

import type { ExchangeSettings } from '../../src/core/settings.ts';
import { chanceOf, clockedRandom } from '../support/random.ts';
import { SimulatedHost } from '../support/simulated-host.ts';
import { SimulatedSidecar } from '../support/simulated-sidecar.ts';
import { SimulatedTime, T0 } from '../support/simulated-time.ts';
import { Ledger, SimulatedVault } from '../support/simulated-vault.ts';
import { CallPromises } from './call-promises.ts';
import { Family, withIdentityAddresses } from './family.ts';
import { KINDS } from './faults.ts';
import { Health } from './health.ts';
import { clockOf, DAY, describeFault, type Fault, HOUR, MINUTE, type Plan, SECOND, SLOW_MS } from './plan.ts';
import { Promises } from './promises.ts';
import type { TokenPromises } from './token-promises.ts';

export interface Outcome {
  readonly steps: number;
  readonly calls: number;
  readonly violation: Violation | undefined;
  /** the last log lines and simulated events */
  readonly story: readonly string[];
}

export interface Violation {
  /** the id of the broken matrix row or invariant */
  readonly rule: string;
  readonly text: string;
  readonly at: number;
}

const STORY_LINES = 60;
const START_MS = 15 * SECOND;
/** Maximum lateness of timers between faults, as on a busy machine; it lets a month take a second. */
const MOST_SLACK_MS = 20 * MINUTE;

export class Life {
  readonly plan: Plan;
  readonly time = new SimulatedTime();
  readonly ledger = new Ledger();
  readonly vaults: readonly SimulatedVault[];
  readonly host: SimulatedHost;
  readonly sidecar: SimulatedSidecar;
  readonly chance;
  readonly family: Family;
  /** the current config, or the one that a reload is applying */
  settings: readonly ExchangeSettings[];
  /** exchanges whose JWT the issuer doesn't rotate */
  readonly stalledIssuers = new Set<string>();
  /** maximum lateness of timers, by the id of the fault that causes it */
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
    this.settings = withIdentityAddresses(plan.setup.exchanges);
    this.family = new Family(() => this.settings, this.vaults);
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

  sleep(ms: number): void {
    this.time.sleep(ms);
    this.#promises.held(ms);
  }

  /** Stops the process, as SIGSTOP does. */
  hold(ms: number): void {
    this.time.stop(ms);
    this.#promises.held(ms);
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

  /** Records the first broken promise. */
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
    this.tokens.started(this.settings);
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
    this.tokens.configured(settings);
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

  spoiled = (path: string): void => this.#promises.spoiled(path);
  get tokens(): TokenPromises {
    return this.#promises.tokens;
  }

  get isStopping(): boolean {
    return this.#promises.isStopping;
  }

  hasLoggedInWith = (jwt: string): boolean => this.#calls.hasLoggedInWith(jwt);

  // health

  /** Whether the exchange must be ready now. */
  isDue(name: string): boolean {
    const isUp = this.sidecar.exchanges !== undefined && !this.#promises.isStopping;
    // late timers may miss the end of a short lease, or of one cut by the maximum TTL
    const isSeen = this.isExact || (Math.min(...ttlsOf(this.plan)) >= HOUR && this.family.allRenew);
    return isUp && isSeen && this.#health.isWell(name);
  }

  /** Whether a fault affects the exchange, or did so minutes ago. */
  isHeldUp = (name: string): boolean => this.#health.isHeldUp(name);

  get lonelyFault(): number | undefined {
    return this.#health.lonelyFault;
  }

  /** Lets each active fault excuse the exchanges for not being ready, after an event such as a restart. */
  shake = (names: readonly string[]): void => this.#health.shake(names);

  /** Lets exchanges that get their JWTs with another exchange's token be unready for a while. */
  excuseIdentityExchanges(ms: number): void {
    for (const { name, source } of this.plan.setup.exchanges)
      if (source.kind === 'vault-identity') this.#health.mustBeWellIn(name, ms + SLOW_MS);
  }

  /** Whether timers are punctual, as they are around faults. */
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
    const recoveryMs = this.#health.ends(id, this.family.isFed);
    this.time.at(this.time.now + recoveryMs + MINUTE, () => this.#lookAway());
    void this.#promises.metricsHold();
    this.time.touch();
  }

  /** Schedules the faults, the issuer's rotations, the probes and the spans of punctual timers. */
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
    // timers that were late until now fire at once
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
