// Shrinks a list to the elements that a failure needs, by delta debugging (Zeller and Hildebrandt, "Simplifying and
// isolating failure-inducing input", 2002): removes parts of decreasing size as long as the rest still fails.

/** @param mostTries limits the attempts; the smallest list found by then is returned */
export async function shrink<T>(
  whole: readonly T[],
  fails: (part: readonly T[]) => Promise<boolean>,
  mostTries = 200,
): Promise<readonly T[]> {
  let rest = whole;
  let parts = 2;
  let tries = 0;
  while (rest.length > 0 && tries < mostTries) {
    const size = Math.ceil(rest.length / parts);
    let found: readonly T[] | undefined;
    for (let from = 0; from < rest.length && found === undefined && tries < mostTries; from += size) {
      const without = [...rest.slice(0, from), ...rest.slice(from + size)];
      tries += 1;
      if (await fails(without)) found = without;
    }
    if (found !== undefined) {
      rest = found;
      parts = Math.max(2, parts - 1);
    } else if (size === 1) break;
    else parts = Math.min(rest.length, parts * 2);
  }
  return rest;
}
