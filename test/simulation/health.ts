// The books on how each exchange may feel: which faults touch it, which of them are a reason for not being ready, and from
// when on it has none any more. A fault on its own that leaves a token renewable is no reason; several at once are.

import type { SimulatedTime } from '../support/simulated-time.ts';
import type { Ongoing } from './faults.ts';
import { SLOW_MS } from './plan.ts';

interface Feelings {
  /** the faults that may keep it from being ready */
  readonly upsetBy: Set<number>;
  /** from when on it must be ready, if nothing upsets it */
  wellAt: number;
  /** until then any fault may upset it: its token may be one that can't be renewed */
  fragileUntil: number;
  /** until then it may still have other things to do */
  calmAt: number;
}

export class Health {
  readonly #time: SimulatedTime;
  readonly #longestTtlMs: number;
  readonly #onWell: () => void;
  readonly #ongoing = new Map<number, Ongoing>();
  readonly #feelings = new Map<string, Feelings>();

  /** @param onWell called whenever an exchange must be well again */
  constructor(time: SimulatedTime, longestTtlMs: number, onWell: () => void) {
    this.#time = time;
    this.#longestTtlMs = longestTtlMs;
    this.#onWell = onWell;
  }

  /** True where nothing is left that could keep the exchange from being ready. */
  isWell(name: string): boolean {
    const { upsetBy, wellAt } = this.#of(name);
    return upsetBy.size === 0 && this.#time.now >= wellAt;
  }

  /** True while a fault touches the exchange, or did so minutes ago. */
  isHeldUp(name: string): boolean {
    const isTouched = [...this.#ongoing.values()].some(({ touches }) => touches(name));
    return isTouched || this.#time.now < this.#of(name).calmAt;
  }

  fragile(names: readonly string[]): string[] {
    return names.filter((name) => this.#time.now < this.#of(name).fragileUntil);
  }

  /** @param fragile those that were so before it began */
  begins(id: number, ongoing: Ongoing, names: readonly string[], fragile: readonly string[]): void {
    for (const name of names.filter(ongoing.touches)) {
      const { upsetBy } = this.#of(name);
      const others = [...this.#ongoing].filter(([, { touches }]) => touches(name));
      if (ongoing.upsets || fragile.includes(name) || others.length > 0) upsetBy.add(id);
      // of several at once nobody can say which one it bears
      for (const [other] of others) upsetBy.add(other);
    }
    this.#ongoing.set(id, ongoing);
  }

  /** @returns how long it takes until all must be well */
  ends(id: number, isFed: (name: string) => boolean): number {
    const ongoing = this.#ongoing.get(id);
    if (ongoing === undefined) return 0;
    let longestMs = 0;
    this.#ongoing.delete(id);
    ongoing.end?.();
    for (const [name, feelings] of this.#feelings) {
      const wasUpset = feelings.upsetBy.delete(id);
      // one that is fed is well only after the one that feeds it
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

  /** Something happened that makes whatever is wrong just now a reason to be unwell. */
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
