// The order of names.

const collator = new Intl.Collator(undefined, { numeric: true });

/** The order of names: numbers in them by their value, so that bot2 comes before bot10. */
export const byName = (a, b) => collator.compare(a, b) || (a < b ? -1 : Number(a > b));

/** The index at which `name` stands in `names`, which are sorted, or would stand. */
export function indexOf(name, names) {
  let [low, high] = [0, names.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (byName(names[middle], name) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
