// Finds what a misspelt name was probably meant to be.

const MOST_EDITS = 2;

/** Returns the name with the fewest edits from `wish`: at most two, and at most half of its characters. */
export function closest(wish: string, names: readonly string[]): string | undefined {
  const near = names
    .map((name) => ({ name, edits: editsBetween(wish.toLowerCase(), name.toLowerCase()) }))
    .filter(({ edits }) => edits <= MOST_EDITS && edits * 2 <= wish.length)
    .sort((one, other) => one.edits - other.edits);
  return near[0]?.name;
}

/** Returns the Levenshtein distance, with swapped neighbours as one edit. */
function editsBetween(one: string, other: string): number {
  let [before, row]: [number[], number[]] = [[], Array.from({ length: other.length + 1 }, (_, index) => index)];
  for (let i = 1; i <= one.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= other.length; j += 1) {
      const isSame = one[i - 1] === other[j - 1];
      const isSwap = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
      next[j] = Math.min(
        at(row, j) + 1,
        at(next, j - 1) + 1,
        at(row, j - 1) + (isSame ? 0 : 1),
        isSwap ? at(before, j - 2) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    [before, row] = [row, next];
  }
  return at(row, other.length);
}

const at = (row: readonly number[], index: number): number => row[index] ?? Number.POSITIVE_INFINITY;
