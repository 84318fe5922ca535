// What was changed in a text, word by word.

/** @typedef {{ kind: "same" | "removed" | "added", text: string }} Part */

const MOST = 4_000_000; // cells of the table: about 2,000 changed words on each side, compared in some 20 ms

/**
 * The parts of two texts in order: what both have, what only the first has, what only the second has. Removed parts
 * stand before the added ones that take their place. Longest common subsequence of words, spaces and marks.
 *
 * @param {string} before
 * @param {string} after
 * @returns {Part[]}
 */
export function wordDiff(before, after) {
  const a = wordsOf(before);
  const b = wordsOf(after);
  let start = 0;
  while (start < Math.min(a.length, b.length) && a[start] === b[start]) start++;
  let end = 0;
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  const changed = middle(a.slice(start, a.length - end), b.slice(start, b.length - end));
  return merged([...same(a.slice(0, start)), ...changed, ...same(a.slice(a.length - end))]);
}

/** @param {string} text */
function wordsOf(text) {
  return text.match(/[\p{L}\p{N}_]+|\s+|[^\p{L}\p{N}_\s]/gu) ?? [];
}

/**
 * @param {string[]} words
 * @returns {Part[]}
 */
const same = (words) => words.map((text) => ({ kind: "same", text }));

/**
 * @param {string[]} a
 * @param {string[]} b
 * @returns {Part[]}
 */
function middle(a, b) {
  if (a.length * b.length > MOST) {
    return [
      { kind: "removed", text: a.join("") },
      { kind: "added", text: b.join("") },
    ];
  }
  const lengths = commonLengths(a, b);
  const width = b.length + 1;
  /** @type {Part[]} */
  const parts = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      parts.push({ kind: "same", text: a[i++] });
      j++;
    } else if (j >= b.length || (i < a.length && lengths[(i + 1) * width + j] >= lengths[i * width + j + 1])) {
      parts.push({ kind: "removed", text: a[i++] });
    } else {
      parts.push({ kind: "added", text: b[j++] });
    }
  }
  return parts;
}

/**
 * The length of the longest common subsequence of what begins at word `i` of `a` and `j` of `b`, at `i * (b + 1) + j`.
 *
 * @param {string[]} a
 * @param {string[]} b
 */
function commonLengths(a, b) {
  const width = b.length + 1;
  const lengths = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const at = i * width + j;
      lengths[at] = a[i] === b[j] ? lengths[at + width + 1] + 1 : Math.max(lengths[at + width], lengths[at + 1]);
    }
  }
  return lengths;
}

/**
 * Neighbours of one kind as one part.
 *
 * @param {Part[]} parts
 */
function merged(parts) {
  /** @type {Part[]} */
  const result = [];
  for (const { kind, text } of parts) {
    const last = result.at(-1);
    if (last?.kind === kind) last.text += text;
    else result.push({ kind, text });
  }
  return result;
}
