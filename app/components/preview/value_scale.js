// A number on the distribution of all: bars, a mark where it lies, and one where it is expected.

import { el } from "../dom.js";

/**
 * @typedef {object} Scale
 * @property {number} low the left edge of the first bar
 * @property {number} high the right edge of the last
 * @property {number[]} bars heights, 0 to 1
 * @property {number} given
 * @property {number} suggested
 * @property {[given: string, suggested: string]} words both as text
 */

/** @param {Scale} scale */
export function valueScale({ low, high, bars, given, suggested, words }) {
  const label = `${words[0]} on the distribution of all numbers; expected ${words[1]}`;
  return el(
    "figure",
    { class: "distribution", role: "img", "aria-label": label },
    el(
      "div",
      { class: "bars" },
      bars.map((height) => el("span", { style: `height:${(100 * height).toFixed(1)}%` })),
      mark("given", placeOf(given, low, high)),
      mark("expected", placeOf(suggested, low, high)),
    ),
    el(
      "figcaption",
      {},
      el("span", { class: "what given" }, `given ${words[0]}`),
      el("span", { class: "what expected" }, `expected ${words[1]}`),
    ),
  );
}

/**
 * Where a number lies between the edges, 0 to 1; one outside lies on the nearer edge.
 *
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
export function placeOf(value, low, high) {
  return Math.min(1, Math.max(0, (value - low) / (high - low || 1)));
}

/**
 * @param {string} name
 * @param {number} place
 */
function mark(name, place) {
  return el("i", { class: `mark ${name}`, style: `left:${(100 * place).toFixed(1)}%` });
}
