// What keys mean in the review.

/** @typedef {"keep" | "suggestion" | "swap" | "remove" | "unsure" | "undo" | "redo"} Verb */
/** @typedef {Verb | "edit" | "change" | "back" | "forth" | "search" | "help" | "note" | "overlay" | "contrast"} Action */
/** @typedef {{ name: Action } | { name: "class", key: string } | { name: "zoom", factor: number }} Command */
/** @typedef {Pick<KeyboardEvent, "key" | "shiftKey" | "ctrlKey" | "metaKey" | "altKey">} Key */

const ZOOM = 1.5;

/** What a command writes, where it is not for every run. @type {Record<string, string>} */
const NEEDS = {
  suggestion: "relabel",
  class: "relabel",
  search: "relabel",
  edit: "edit",
  swap: "swap",
  change: "change",
};
const OF_CLASSES = ["class", "search"];

/** @type {[keys: string, meaning: string, command?: string][]} */
export const MEANINGS = [
  ["k", "Keep it as it is"],
  ["Enter or s", "Take the suggestion", "suggestion"],
  ["v", "Write a new value, or choose other labels or tags: Enter saves, Escape leaves", "change"],
  ["1 … 9, 0", "Give one of the numbered classes", "class"],
  ["f j", "Of a pair of classes: the given one, or the other", "class"],
  ["/", "Search among all classes", "search"],
  ["e", "Edit the response: Ctrl+Enter saves, Escape leaves", "edit"],
  ["x", "Swap the chosen and the rejected answer", "swap"],
  ["r or Delete", "Remove the sample"],
  ["u", "Unsure"],
  ["n", "Write a note"],
  ["o", "Show or hide the saliency overlay, or the next layer of an image with a mask"],
  ["+ -", "Zoom the picture, as the wheel does"],
  ["c", "Raise the contrast of the picture"],
  ["← →", "Look back and forth"],
  ["z or Ctrl+Z", "Undo"],
  ["Shift+Z or Ctrl+Y", "Redo"],
  ["?", "This list"],
];

/** @type {Record<string, Command>} */
const COMMANDS = {
  k: { name: "keep" },
  s: { name: "suggestion" },
  enter: { name: "suggestion" },
  e: { name: "edit" },
  v: { name: "change" },
  x: { name: "swap" },
  r: { name: "remove" },
  delete: { name: "remove" },
  u: { name: "unsure" },
  f: { name: "class", key: "f" },
  j: { name: "class", key: "j" },
  n: { name: "note" },
  o: { name: "overlay" },
  c: { name: "contrast" },
  "+": { name: "zoom", factor: ZOOM },
  "=": { name: "zoom", factor: ZOOM },
  "-": { name: "zoom", factor: 1 / ZOOM },
  arrowleft: { name: "back" },
  arrowright: { name: "forth" },
  "/": { name: "search" },
  "?": { name: "help" },
};

/**
 * Whether a command is for a run in which these actions can be decided: without labels nothing is relabelled, and where
 * labels are numbers or several ("change") there is no class to choose.
 *
 * @param {string | undefined} name
 * @param {string[]} actions
 */
export function isAllowed(name, actions) {
  const needed = NEEDS[name ?? ""];
  if (OF_CLASSES.includes(name ?? "") && actions.includes("change")) return false;
  return needed === undefined || actions.includes(needed);
}

/**
 * What a key press means; null where it means nothing. Capitals mean the same, but for Shift+Z.
 *
 * @param {Key} event
 * @returns {Command | null}
 */
export function commandOf({ key, shiftKey, ctrlKey, metaKey, altKey }) {
  const letter = key.toLowerCase();
  if (altKey) return null;
  if (ctrlKey || metaKey) {
    if (letter === "z") return { name: shiftKey ? "redo" : "undo" };
    return letter === "y" ? { name: "redo" } : null;
  }
  if (letter === "z") return { name: key === "Z" ? "redo" : "undo" };
  if (/^[0-9]$/.test(key)) return { name: "class", key };
  return COMMANDS[letter] ?? null;
}
