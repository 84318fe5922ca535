// What keys mean in the grid.

/** @typedef {"suggest" | "keep" | "relabel" | "remove" | "unsure"} Verb */

/**
 * @typedef {{ name: "go", to: number, extends: boolean }
 *   | { name: "open" | "toggle" | "none" | "all" }
 *   | { name: "ask", verb: Verb }
 *   | { name: "class", key: string }} GridCommand
 */

/** @typedef {Pick<KeyboardEvent, "key" | "shiftKey" | "ctrlKey" | "metaKey" | "altKey">} Key */

/** @type {Record<string, Verb>} */
export const VERB_KEYS = { s: "suggest", k: "keep", l: "relabel", r: "remove", u: "unsure" };

/**
 * What a key means with tile `current` of `count` in focus, `perRow` tiles in a row; null where it means nothing.
 *
 * @param {Key} event
 * @param {{ current: number, count: number, perRow: number }} tiles
 * @returns {GridCommand | null}
 */
export function gridCommand(event, tiles) {
  const { key, shiftKey } = event;
  const withControl = event.ctrlKey || event.metaKey;
  if (event.altKey) return null;
  if (withControl) return key.toLowerCase() === "a" ? { name: "all" } : null;
  const to = destination(key, tiles);
  if (to !== null) return { name: "go", to, extends: shiftKey };
  if (key === "Enter") return { name: "open" };
  if (key === " ") return { name: "toggle" };
  if (key === "Escape") return { name: "none" };
  if (/^[0-9]$/.test(key)) return { name: "class", key };
  return VERB_KEYS[key] ? { name: "ask", verb: VERB_KEYS[key] } : null;
}

/**
 * The tile that a key moves to; null where it does not move.
 *
 * @param {string} key
 * @param {{ current: number, count: number, perRow: number }} tiles
 */
function destination(key, { current, count, perRow }) {
  /** @type {Record<string, number>} */
  const destinations = {
    ArrowLeft: current - 1,
    ArrowRight: current + 1,
    ArrowUp: current - perRow,
    ArrowDown: current + perRow,
    Home: 0,
    End: count - 1,
  };
  const to = destinations[key];
  return to === undefined ? null : Math.min(count - 1, Math.max(0, to));
}
