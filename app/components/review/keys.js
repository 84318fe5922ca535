// What keys mean in the review.

/** @typedef {"keep" | "suggestion" | "remove" | "unsure" | "undo" | "redo"} Verb */
/** @typedef {Verb | "back" | "forth" | "search" | "help" | "note" | "overlay" | "contrast"} Action */
/** @typedef {{ name: Action } | { name: "class", key: string } | { name: "zoom", factor: number }} Command */
/** @typedef {Pick<KeyboardEvent, "key" | "shiftKey" | "ctrlKey" | "metaKey" | "altKey">} Key */

const ZOOM = 1.5;

/** @type {[keys: string, meaning: string][]} */
export const MEANINGS = [
  ["k", "Keep the given label"],
  ["Enter or s", "Take the suggestion"],
  ["1 … 9, 0", "Give one of the numbered classes"],
  ["/", "Search among all classes"],
  ["r or Delete", "Remove the sample"],
  ["u", "Unsure"],
  ["n", "Write a note"],
  ["o", "Show or hide the saliency overlay"],
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
  r: { name: "remove" },
  delete: { name: "remove" },
  u: { name: "unsure" },
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
