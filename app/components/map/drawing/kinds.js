// What the colours of the map mean, and which classes or findings have one.

/** @import { Points } from "./points.js" */
/** @import { Look, Names } from "./look.js" */

import { count } from "../../format.js";
import { COLORS, DECISIONS } from "./look.js";

/** @typedef {{ names: string[], code: (point: number) => number }} Kinds */
/** @typedef {{ color: string, name: string, isRest?: boolean }} Entry */

export const PLAIN = 255; // the slot of a point without a colour of its own

/**
 * The kinds that the colours tell apart; null where they tell something else.
 *
 * @param {Points} points
 * @param {string} colorBy
 * @returns {Kinds | null}
 */
export function kindsOf(points, colorBy) {
  if (colorBy === "label" || colorBy === "value")
    return { names: points.labels, code: (point) => points.labelCode(point) };
  if (colorBy === "finding") return { names: points.findings, code: (point) => points.findingCode(point) };
  return null;
}

/**
 * The codes that have a colour, in the order of the palette: all where there are colours enough, else those that were
 * picked and then the most frequent among the points looked at. The rest is grey.
 *
 * @param {Kinds} kinds
 * @param {number} n points
 * @param {(point: number) => boolean} isLookedAt
 * @param {number[]} picked codes
 */
export function coloredCodes({ names, code }, n, isLookedAt, picked) {
  if (names.length <= COLORS) return names.map((_, i) => i);
  const frequency = new Uint32Array(names.length);
  for (let point = 0; point < n; point++) if (isLookedAt(point) && code(point) < names.length) frequency[code(point)]++;
  const frequent = Array.from(frequency.keys()).sort((a, b) => frequency[b] - frequency[a] || a - b);
  return [...new Set([...picked, ...frequent])].slice(0, COLORS);
}

/**
 * The colour of each point as its position in the palette.
 *
 * @param {Kinds} kinds
 * @param {number} n points
 * @param {number[]} codes those that have a colour
 */
export function slotsOf({ names, code }, n, codes) {
  const slotOfCode = new Uint8Array(names.length).fill(PLAIN);
  codes.forEach((colored, slot) => (slotOfCode[colored] = slot));
  return Uint8Array.from({ length: n }, (_, point) => slotOfCode[code(point)] ?? PLAIN);
}

/**
 * What to show beside the map.
 *
 * @param {Look} look
 * @param {Kinds | null} kinds
 * @param {number[]} codes those that have a colour
 * @param {boolean} isDecided whether there is any decision
 * @returns {Entry[]}
 */
export function legendOf({ colorBy, names }, kinds, codes, isDecided) {
  if (kinds) return kindEntries(names, kinds, codes);
  switch (colorBy) {
    case "score":
      return [{ color: `linear-gradient(90deg, ${names.ramp.join(", ")})`, name: "least to most suspicious" }];
    case "decision": {
      const decisions = DECISIONS.map((name, code) => ({ color: names.verdicts[code], name })).slice(1);
      return [...decisions, { color: names.plain, name: isDecided ? "undecided" : "nothing decided yet" }];
    }
    default:
      return [
        { color: names.accent, name: "flagged" },
        { color: names.plain, name: "not flagged" },
      ];
  }
}

/**
 * @param {Names} names
 * @param {Kinds} kinds
 * @param {number[]} codes
 * @returns {Entry[]}
 */
function kindEntries(names, kinds, codes) {
  const entries = codes.map((code, slot) => ({ color: names.palette[slot], name: kinds.names[code] }));
  const others = kinds.names.length - codes.length;
  return others ? [...entries, { color: names.plain, name: `${count(others)} others`, isRest: true }] : entries;
}
