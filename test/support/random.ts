// Seeded random numbers (mulberry32): a seed always gives the same sequence.

export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Random numbers that depend on the time, not on earlier draws: if a fault is removed from a plan, the rest of the run
 * stays the same.
 */
export function clockedRandom(seed: number, now: () => number): () => number {
  let drawnAt = Number.NaN;
  let random = seededRandom(seed);
  return () => {
    const at = now();
    if (at !== drawnAt)
      random = seededRandom(seed ^ Math.imul(Math.trunc(at % 2 ** 31), 0x9e3779b1) ^ Math.trunc((at % 1) * 2 ** 31));
    drawnAt = at;
    return random();
  };
}

/** Random choices from one sequence. */
export interface Chance {
  readonly random: () => number;
  pick<T>(from: readonly T[]): T;
  /** an integer, uniformly distributed */
  between(low: number, high: number): number;
  /** an integer, log-uniformly distributed */
  spread(low: number, high: number): number;
}

export function chanceOf(random: () => number): Chance {
  return {
    random,
    pick: <T>(from: readonly T[]) => from[Math.floor(random() * from.length)] as T,
    between: (low, high) => Math.round(low + random() * (high - low)),
    spread: (low, high) => Math.round(low * (high / low) ** random()),
  };
}
