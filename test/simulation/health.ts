// Tracks for each exchange which faults affect it, which of them excuse it for not being ready, and from when on it
// must be ready. A single fault under which renewals work is no excuse; several at once are.

import type { SimulatedTime } from '../support/simulated-time.ts';
import type { Ongoing } from './faults.ts';
import { SLOW_MS } from './plan.ts';

interface Feelings {
  /** ids of the faults that excuse it for not being ready */
  readonly upsetBy: Set<number>;
  /** when it must be ready, unless a fault excuses it */
  wellAt: number;
  /** until then any fault is an excuse, since its token may not be renewable */
  fragileUntil: number;
  /** until then it may still be recovering */
  calmAt: number;
}

export class Health {
  readonly #time: SimulatedTime;
  readonly #longestTtlMs: number;
  readonly #onWell: () => void;
  readonly #ongoing = new Map<number, Ongoing>();
  readonly #feelings = new Map<string, Feelings>();
  #lonely: number | undefined = 0;
  #endedAt = Number.NEGATIVE_INFINITY;

  /** @param onWell called whenever an exchange must be ready again */
  constructor(time: SimulatedTime, longestTtlMs: number, onWell: () => void) {
    this.#time = time;
    this.#longestTtlMs = longestTtlMs;
    this.#onWell = onWell;
  }

  /** Whether the exchange has no excuse left for not being ready. */
  isWell(name: string): boolean {
    const { upsetBy, wellAt } = this.#of(name);
    return upsetBy.size === 0 && this.#time.now >= wellAt;
  }

  /** Whether a fault affects the exchange, or did so minutes ago. */
  isHeldUp(name: string): boolean {
    const isTouched = [...this.#ongoing.values()].some(({ touches }) => touches(name));
    return isTouched || this.#time.now < this.#of(name).calmAt;
  }

  /** The id of the latest fault, or 0 before the first one, unless another one was active minutes before it. */
  get lonelyFault(): number | undefined {
    return this.#lonely;
  }

  fragile(names: readonly string[]): string[] {
    return names.filter((name) => this.#time.now < this.#of(name).fragileUntil);
  }

  /** @param fragile exchanges that were fragile before the fault began */
  begins(id: number, ongoing: Ongoing, names: readonly string[], fragile: readonly string[]): void {
    for (const name of names.filter(ongoing.touches)) {
      const { upsetBy } = this.#of(name);
      const others = [...this.#ongoing].filter(([, { touches }]) => touches(name));
      if (ongoing.upsets || fragile.includes(name) || others.length > 0) upsetBy.add(id);
      // of several faults at once, each is an excuse
      for (const [other] of others) upsetBy.add(other);
    }
    this.#lonely = this.#ongoing.size === 0 && this.#time.now > this.#endedAt + SLOW_MS ? id : undefined;
    this.#ongoing.set(id, ongoing);
  }

  /** @returns the time until all exchanges must be ready */
  ends(id: number, isFed: (name: string) => boolean): number {
    const ongoing = this.#ongoing.get(id);
    if (ongoing === undefined) return 0;
    let longestMs = 0;
    this.#ongoing.delete(id);
    this.#endedAt = this.#time.now;
    ongoing.end?.();
    for (const [name, feelings] of this.#feelings) {
      const wasUpset = feelings.upsetBy.delete(id);
      // a fed exchange recovers after the one that feeds it
      const recoveryMs = ongoing.recoveryMs + (isFed(name) ? SLOW_MS : 0);
      if (wasUpset) this.mustBeWellIn(name, recoveryMs);
      if (wasUpset) longestMs = Math.max(longestMs, recoveryMs);
      if (!wasUpset && !ongoing.touches(name)) continue;
      feelings.calmAt = Math.max(feelings.calmAt, this.#time.now + SLOW_MS);
      feelings.fragileUntil = Math.max(feelings.fragileUntil, this.#time.now + this.#longestTtlMs);
    }
    return longestMs;
  }

  mustBeWellIn(name: string, ms: number): void {
    const feelings = this.#of(name);
    feelings.wellAt = Math.max(feelings.wellAt, this.#time.now + ms);
    this.#time.at(feelings.wellAt, this.#onWell);
  }

  /** Makes each active fault an excuse, after an event such as a restart. */
  shake(names: readonly string[]): void {
    for (const name of names) {
      const feelings = this.#of(name);
      for (const [id, { touches }] of this.#ongoing) if (touches(name)) feelings.upsetBy.add(id);
      feelings.fragileUntil = Math.max(feelings.fragileUntil, this.#time.now + this.#longestTtlMs);
    }
  }

  #of(name: string): Feelings {
    const known = this.#feelings.get(name);
    if (known !== undefined) return known;
    const fresh = { upsetBy: new Set<number>(), wellAt: 0, fragileUntil: 0, calmAt: 0 };
    this.#feelings.set(name, fresh);
    return fresh;
  }
}
