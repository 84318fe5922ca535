// The bar above the grid: how much is selected, what can be done with it, and the question before it is done.

/** @import { Verb } from "./keys.js" */

import { button, el } from "../dom.js";
import { count } from "../format.js";
import { VERB_KEYS } from "./keys.js";

/** A decision that waits for a yes. @typedef {{ action: Verb, label?: string }} Question */

/**
 * How much is selected: of the page, or all samples of the list where there are more than the page shows.
 *
 * @typedef {object} Extent
 * @property {number} selected
 * @property {number} shown on the page
 * @property {number} total in the list
 */

/**
 * @typedef {object} Actions
 * @property {(question: Question | null) => void} ask
 * @property {() => void} confirm
 * @property {(all: boolean) => void} selectAll
 * @property {() => void} selectEvery
 */

/** @type {Record<Verb, string>} */
const VERBS = {
  suggest: "Take suggestions",
  keep: "Keep",
  relabel: "Relabel",
  remove: "Remove",
  unsure: "Mark as unsure",
};

/**
 * What a decision would do, in words.
 *
 * @param {Question} question
 */
export function questionText({ action, label }) {
  return label === undefined ? VERBS[action] : `${VERBS[action]} to ${label}`;
}

/**
 * What can be done with a selection.
 *
 * @param {Extent} extent
 * @param {Verb[]} verbs
 * @param {Actions} actions
 */
export function selectionBar({ selected, shown, total }, verbs, { ask, selectAll, selectEvery }) {
  const all = selected ? (selected > shown ? total : shown) : total;
  const part = selected || shown;
  const summary = `${selected || shown < total ? `${count(part)} of ` : ""}${count(all)} ${selected ? "selected" : "shown"}`;
  const buttons = Object.entries(VERB_KEYS)
    .filter(([, action]) => verbs.includes(action))
    .map(([key, action]) =>
      button(VERBS[action], `${VERBS[action]} (${key})`, () => ask({ action }), { "aria-keyshortcuts": key }),
    );
  return [
    el("span", { class: "count" }, summary),
    ...(selected ? buttons : []),
    selected < shown ? button("Select page", "Select all on this page", () => selectAll(true)) : "",
    total > shown && selected < total
      ? button(`Select all ${count(total)}`, "Select all in this list", selectEvery)
      : "",
    selected ? button("Select none", "Select none", () => selectAll(false)) : "",
  ];
}

/**
 * A button for a class that has a number key.
 *
 * @param {{ key: string, name: string }} numberedClass
 * @param {(question: Question) => void} ask
 */
export function classButton({ key, name }, ask) {
  const attributes = {
    type: "button",
    class: "class",
    title: `Relabel to ${name} (${key})`,
    "aria-label": `Relabel to ${name}`,
    "aria-keyshortcuts": key,
    on: { click: () => ask({ action: "relabel", label: name }) },
  };
  return el("button", attributes, el("kbd", { "aria-hidden": "true" }, key), name);
}

/**
 * The question before a decision, the count part of it; the second node is the button that says yes.
 *
 * @param {Question} question
 * @param {number} selected
 * @param {Actions} actions
 */
export function questionBar(question, selected, { ask, confirm }) {
  const text = questionText(question);
  const samples = selected === 1 ? "sample" : "samples";
  return [
    el("span", { class: "count" }, `${text}, ${count(selected)} ${samples}?`),
    button(`${text}: ${count(selected)}`, `${text}: ${count(selected)} ${samples}`, confirm, { class: "yes" }),
    button("Cancel", "Cancel", () => ask(null)),
  ];
}
