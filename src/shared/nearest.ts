// "Did you mean …?": the known word that a typo is closest to.
// Not responsible for what is done with it.
// Invariant: only a word within two edits (a third of its length for short ones) is suggested; a wild guess helps nobody.

export function nearest(typed: string, words: readonly string[]): string | undefined {
  // What a person types is short; longer input is no typo of anything.
  if (typed.length > 64) return undefined;
  let best: string | undefined;
  let least = Infinity;
  for (const word of words) {
    const edits = distance(typed.toLowerCase(), word.toLowerCase());
    if (edits < least && edits <= Math.max(1, Math.min(2, Math.floor(word.length / 3)))) {
      best = word;
      least = edits;
    }
  }
  return best;
}

/** Optimal string alignment: insertions, deletions, replacements and swaps of neighbours. */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(at(previous, j) + 1, at(row, j - 1) + 1, at(previous, j - 1) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, at(before, j - 2) + 1);
      row.push(cost);
    }
    before = previous;
    previous = row;
  }
  return at(previous, b.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Infinity;
}
