/** A float's text as both databases would have it, read as double or single precision. */
export function normaliseFloat(text: string, read: (text: string) => number): string {
  const word = text.toLowerCase();
  if (word.startsWith('inf') || word.startsWith('-inf'))
    return word.slice(0, word.indexOf('i') + 3);
  const number = read(text);
  if (number === Infinity || number === -Infinity) return number > 0 ? 'inf' : '-inf';
  return Object.is(number, -0) ? '-0' : String(number);
}

/** NaN is above all numbers in both databases. */
export function compareFloats(one: string, other: string): number {
  const [a, b] = [numberOf(one), numberOf(other)];
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return a < b ? -1 : Number(a > b);
}

function numberOf(text: string): number {
  return text.endsWith('inf') ? (text === 'inf' ? Infinity : -Infinity) : Number(text);
}
