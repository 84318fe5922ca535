// Which classes match what is typed, and which have a number key.

/** @import { Sample } from "./sample.js" */

const SHOWN = 50;
const KEYS = 10; // 1 … 9 and 0
const LIKELY = 9;
const DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/**
 * The classes with `typed` in their name, those that begin with it first, in the order given.
 *
 * @param {string[]} classes
 * @param {string} typed
 */
export function matchingClasses(classes, typed) {
  const wanted = typed.trim().toLocaleLowerCase();
  const position = (/** @type {string} */ name) => name.toLocaleLowerCase().indexOf(wanted);
  const beginning = classes.filter((name) => position(name) === 0);
  const containing = classes.filter((name) => position(name) > 0);
  return [...beginning, ...containing].slice(0, SHOWN);
}

/**
 * All classes, the likely ones of a sample first.
 *
 * @param {Sample} sample
 * @param {string[]} classes
 */
export function likelyFirst({ probabilities = [] }, classes) {
  return [...new Set([...probabilities.map(([name]) => name), ...classes])];
}

/**
 * The classes that have a number key under a sample: up to ten classes keep theirs on every sample, and digits are their
 * own; of more classes, the likeliest nine have one.
 *
 * @param {Sample | undefined} sample
 * @param {string[]} classes
 * @returns {{ key: string, name: string }[]}
 */
export function numberedClasses(sample, classes) {
  const digits = classes.map(digitOf);
  if (new Set(digits).size === classes.length && !digits.includes("")) {
    return classes.map((name, i) => ({ key: digits[i], name }));
  }
  const numbered = classes.length <= KEYS ? classes : likeliest(sample, classes);
  return numbered.map((name, i) => ({ key: String((i + 1) % 10), name }));
}

/**
 * The digit that a class is, in figures or as an English word; empty for another class.
 *
 * @param {string} name
 */
function digitOf(name) {
  const place = DIGITS.indexOf(name.toLowerCase());
  return /^[0-9]$/.test(name) ? name : place < 0 ? "" : String(place);
}

/**
 * The suggestion, likely classes and the given label of a sample, and others where these are fewer than nine.
 *
 * @param {Sample | undefined} sample
 * @param {string[]} classes
 */
function likeliest(sample, classes) {
  const likely = (sample?.probabilities ?? []).map(([name]) => name);
  const first = [sample?.predicted, ...likely.slice(0, LIKELY - 2), sample?.given];
  const names = [...first, ...likely, ...classes.slice(0, LIKELY)].filter((name) => name !== undefined);
  return [...new Set(names)].slice(0, LIKELY);
}

/**
 * The classes that have a number key on a page of samples: of more than ten, those suggested most often.
 *
 * @param {Sample[]} samples
 * @param {string[]} classes
 */
export function numberedOnPage(samples, classes) {
  /** @type {Map<string, number>} */
  const suggestions = new Map();
  for (const { predicted } of samples) if (predicted) suggestions.set(predicted, (suggestions.get(predicted) ?? 0) + 1);
  const probabilities = [...suggestions].sort((a, b) => b[1] - a[1]);
  return numberedClasses({ id: "", probabilities }, classes);
}
