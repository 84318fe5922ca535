// What an edit changes, shown against the original.

/** @import { Texts } from "../../sample.js" */

import { el } from "../../dom.js";
import { wordDiff } from "./diff.js";

/**
 * A text with what was taken out and what was put in.
 *
 * @param {string} before
 * @param {string} after
 */
export function changedText(before, after) {
  const parts = wordDiff(before, after).map(({ kind, text }) => {
    if (kind === "same") return text;
    return el(kind === "added" ? "ins" : "del", {}, text);
  });
  return el("div", { class: "diff", dir: "auto", tabindex: "0", role: "group", "aria-label": "Changes" }, parts);
}

/**
 * All texts of an edit against the original, below a heading.
 *
 * @param {Texts} responses
 * @param {Texts} edit
 */
export function changes(responses, edit) {
  const originals = new Map(responses);
  const texts = edit.map(([place, text]) => changedText(originals.get(place) ?? "", text));
  return el("section", { class: "changes" }, el("h3", {}, "As edited"), texts);
}

/**
 * A place in a row, as a person says it: "messages, turn 5" for `/messages/4/content`.
 *
 * @param {string} place a JSON Pointer
 */
export function placeName(place) {
  const [column, position] = place
    .slice(1)
    .split("/")
    .map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
  return /^\d+$/.test(position ?? "") ? `${column}, turn ${Number(position) + 1}` : column;
}
