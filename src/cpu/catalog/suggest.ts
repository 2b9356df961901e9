// The names that someone may have meant: for the second half of a sentence that refuses a name.

const MAX_LENGTH = 200;

/** Up to three of the known names that are close to the given one, the closest first. */
export function nearestNames(given: string, known: Iterable<string>): string[] {
  // Nobody misspells a name of this length, and the distance to each known one would take its time.
  if (given.length > MAX_LENGTH) return [];
  const wanted = given.toLowerCase();
  const limit = Math.max(1, Math.floor(given.length / 3));
  return [...new Set(known)]
    .map((name) => ({ name, distance: editDistance(wanted, name.toLowerCase()) }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ name }) => name);
}

/** `; did you mean "x" or "y"?`, or nothing where no name is close. */
export function didYouMean(given: string, known: Iterable<string>): string {
  const names = nearestNames(given, known).map((name) => `"${name}"`);
  return names.length === 0 ? '' : `; did you mean ${names.join(' or ')}?`;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(
        Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)),
      );
    row = next;
  }
  return row[b.length]!;
}
