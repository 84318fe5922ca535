// What keys mean in the review.

/** @typedef {"keep" | "suggestion" | "remove" | "unsure" | "undo" | "redo"} Verb */
/** @typedef {{ name: Verb | "back" | "forth" | "search" | "help" | "note" | "overlay" } | { name: "class", key: string }} Command */
/** @typedef {Pick<KeyboardEvent, "key" | "shiftKey" | "ctrlKey" | "metaKey" | "altKey">} Key */

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
