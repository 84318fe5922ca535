// What keys mean on the map and on the threshold.

/** @import { Place } from "./drawing/view.js" */

/**
 * A command: its name, and how far.
 *
 * @typedef {{ name: "zoom", factor: number }
 *   | { name: "pan" | "towards", by: Place }
 *   | { name: "step", by: number }
 *   | { name: "fit" | "pick" | "corner" | "escape" }} MapCommand
 */

/** @typedef {Pick<KeyboardEvent, "key" | "shiftKey" | "ctrlKey" | "metaKey" | "altKey">} Key */

const ZOOM = 1.5;
const PAN = 60; // pixels
const FINE = 1000; // the threshold moves by a thousandth of the samples,
const COARSE = 100; // or by a hundredth

/** @type {Record<string, Place>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** @type {Record<string, MapCommand>} */
const COMMANDS = {
  "+": { name: "zoom", factor: ZOOM },
  "=": { name: "zoom", factor: ZOOM },
  "-": { name: "zoom", factor: 1 / ZOOM },
  0: { name: "fit" },
  n: { name: "step", by: 1 },
  p: { name: "step", by: -1 },
  Enter: { name: "pick" },
  " ": { name: "corner" },
  Escape: { name: "escape" },
};

/**
 * What a key means on the map; null where it means nothing.
 *
 * @param {Key} event
 * @returns {MapCommand | null}
 */
export function mapCommand({ key, shiftKey, ctrlKey, metaKey, altKey }) {
  if (ctrlKey || metaKey || altKey) return null;
  const arrow = ARROWS[key];
  if (!arrow) return COMMANDS[key] ?? null;
  return shiftKey ? { name: "pan", by: [-PAN * arrow[0], PAN * arrow[1]] } : { name: "towards", by: arrow };
}

/**
 * How many more samples a key flags, of `n`; null where it means nothing. Rightwards on screen is fewer flagged.
 *
 * @param {Key} event
 * @param {number} n
 */
export function thresholdChange({ key, shiftKey, ctrlKey, metaKey, altKey }, n) {
  if (ctrlKey || metaKey || altKey) return null;
  const step = shiftKey ? 1 : Math.max(1, Math.round(n / FINE));
  const page = Math.max(1, Math.round(n / COARSE));
  /** @type {Record<string, number>} */
  const changes = {
    ArrowRight: -step,
    ArrowUp: -step,
    ArrowLeft: step,
    ArrowDown: step,
    PageUp: -page,
    PageDown: page,
    Home: n,
    End: -n,
  };
  return changes[key] ?? null;
}
