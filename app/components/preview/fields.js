// The fields of a table's row, each number on the axis of its column beside what is usual in its class.

/** @import { Sample, Value } from "../sample.js" */

import { el } from "../dom.js";

/**
 * The fields, those with an unusual value first, and what the marks mean.
 *
 * @param {Sample} sample
 */
export function fieldTable({ fields = [], values = [], given, predicted }) {
  const known = new Map(values.map((value) => [value.column, value]));
  const place = (/** @type {string} */ name) => values.findIndex((value) => value.column === name && value.unusual);
  const order = fields.map(([name, text], i) => ({ name, text, i, first: place(name) }));
  order.sort((a, b) => (a.first < 0 ? Infinity : a.first) - (b.first < 0 ? Infinity : b.first) || a.i - b.i);
  const rows = order.map(({ name, text }) => fieldRow(name, text, known.get(name), given));
  const table = el("table", { class: "fields" }, el("tbody", {}, rows));
  return values.length ? [table, legend(given, predicted)] : [table];
}

/**
 * @param {string} name
 * @param {string} text
 * @param {Value | undefined} value
 * @param {string | undefined} given
 */
function fieldRow(name, text, value, given) {
  const mark = value?.unusual && el("span", { class: "unusual" }, `unusual for ${given}`);
  return el(
    "tr",
    {},
    el("th", { scope: "row", dir: "auto" }, name),
    el("td", { dir: "auto" }, text, mark),
    value && el("td", { class: "axis", "aria-hidden": "true" }, axis(value)),
  );
}

/** @param {Value} value */
function axis({ place, given, other, unusual }) {
  return el(
    "div",
    { class: "axis-line" },
    other && range(other, "other"),
    given && range(given, "given"),
    el("i", { class: unusual ? "value far" : "value", style: `left:${percent(place)}` }),
  );
}

/**
 * From the 10 to the 90 % of a class, with its middle.
 *
 * @param {number[]} quantiles
 * @param {string} name
 */
function range([low, middle, high], name) {
  const inside = high > low ? (middle - low) / (high - low) : 0.5;
  const style = `left:${percent(low)};width:${percent(Math.max(high - low, 0.01))};--middle:${percent(inside)}`;
  return el("span", { class: `range ${name}`, style });
}

/**
 * @param {string | undefined} given
 * @param {string | undefined} other
 */
function legend(given, other) {
  const beside = other && other !== given && [", ", el("span", { class: "key other" }), ` of ${other}`];
  return el(
    "p",
    { class: "shades", dir: "auto" },
    "The mark is the value; the bars are where most values lie (10 to 90 %): ",
    el("span", { class: "key given" }),
    ` of ${given}`,
    ...(beside || []),
    ".",
  );
}

/** @param {number} share */
const percent = (share) => `${(100 * share).toFixed(1)}%`;
