// The nearest of several names, to ask "did you mean ...?" after a typing error.

/**
 * Returns the name that most likely was meant; undefined if none is near. A name is near if at most a third of its characters
 * differ, or if the given text is its beginning.
 */
export function nearest(given: string, names: Iterable<string>): string | undefined {
  let best: { readonly name: string; readonly edits: number } | undefined;
  const text = given.toLowerCase();
  // longer texts are no typing errors, and would take long to compare
  if (text.length > LONGEST) return undefined;
  for (const name of names) {
    const edits = editsBetween(text, name.toLowerCase());
    const isNear = edits <= Math.max(1, Math.floor(name.length / 3)) && edits < name.length;
    if (isNear && (best === undefined || edits < best.edits)) best = { name, edits };
  }
  return best?.name ?? [...names].find((name) => text.length >= 3 && name.toLowerCase().startsWith(text));
}

/** Returns a clause to append to an error: `; did you mean "run"?`, or nothing. */
export function suggestion(given: string, names: Iterable<string>): string {
  const name = nearest(given, names);
  return name === undefined ? '' : `; did you mean ${JSON.stringify(name)}?`;
}

const LONGEST = 64;

/** Counts the characters to insert, delete, replace or swap with their neighbour (optimal string alignment). */
function editsBetween(one: string, other: string): number {
  let [before, last]: [number[], number[]] = [[], Array.from({ length: other.length + 1 }, (_, index) => index)];
  for (let row = 1; row <= one.length; row += 1) {
    const edits = [row];
    for (let column = 1; column <= other.length; column += 1) {
      const isSame = one[row - 1] === other[column - 1];
      const isSwapped = one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1];
      edits[column] = Math.min(
        (last[column] ?? 0) + 1,
        (edits[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (isSame ? 0 : 1),
        isSwapped ? (before[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    [before, last] = [last, edits];
  }
  return last[other.length] ?? 0;
}
