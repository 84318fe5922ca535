// How the points look. Warm red-orange is for what is flagged; the palettes hold for the common kinds of colour blindness.

/** @import { Color, Theme } from "../../theme.js" */

import { fromHex } from "../../theme.js";

/** @typedef {"flagged" | "score" | "label" | "value" | "decision" | "finding"} ColorBy */
/** @typedef {{ accent: string, plain: string, ramp: string[], palette: string[], verdicts: string[], values: string[] }} Names */

/**
 * @typedef {object} Look
 * @property {ColorBy} colorBy
 * @property {Names} names the colours as CSS writes them
 * @property {Color} accent of the flagged
 * @property {Color} plain of the rest
 * @property {Color} ink what crowds of flagged points darken to
 * @property {Color[]} ramp from least to most suspicious
 * @property {Color[]} palette of classes and findings
 * @property {Color[]} verdicts of decisions, by their codes
 * @property {number} size of a point in device pixels
 * @property {number} faint opacity of a lone point that is not flagged
 * @property {number} strong opacity of a crowd of them
 * @property {number} flaggedAlpha opacity of a lone flagged point
 */

// Twenty colours as far apart as they can be in OKLab for normal, deuteranope and protanope eyes, and from the accent
// and the plain grey; in the order in which each is the farthest from those before it.
const LIGHT_PALETTE = `
  #5a6390 #eab400 #ea87fc #482412 #240087 #f36c00 #3f7ef3 #510051 #bd9987 #5a7548
  #24abc6 #6cd87e #753fbd #90c6c6 #ab5ac6 #363f90 #99093f #12ab48 #005a63 #3f4800
`;
const DARK_PALETTE = `
  #008787 #eafc51 #f3abd8 #5a6cea #996c00 #b4fcfc #36ea90 #24ab3f #a248bd #997ecf
  #bdd81b #0999fc #d851a2 #00d8fc #7ec6a2 #f3f3b4 #ab5a5a #fccfc6 #90abfc #cf877e
`;

/** @type {Names} */
const LIGHT = {
  accent: "#c2410c",
  plain: "#7d8590",
  ramp: ["#c3cad3", "#e2a24a", "#b8320c"],
  palette: LIGHT_PALETTE.trim().split(/\s+/),
  verdicts: ["#7d8590", "#009e73", "#0072b2", "#b3478f", "#d08e00"],
  values: ["#a9cce3", "#7fb3d5", "#5499c7", "#2e86c1", "#2874a6", "#1f618d", "#1a3f6b", "#0b1f3a"],
};
/** @type {Names} */
const DARK = {
  accent: "#ff6b3d",
  plain: "#9aa4b2",
  ramp: ["#4a5361", "#c07f2c", "#ff7043"],
  palette: DARK_PALETTE.trim().split(/\s+/),
  verdicts: ["#9aa4b2", "#33c79a", "#4aa3df", "#d67bbf", "#f0c864"],
  values: ["#2b4a6f", "#32618f", "#3d7ab0", "#4b93cf", "#69abe0", "#8fc3ec", "#b7dbf5", "#e3f3fd"],
};

export const DECISIONS = ["", "keep", "corrected", "remove", "unsure"]; // by their codes
export const COLORS = LIGHT.palette.length;
const LARGEST = 12; // CSS pixels

/** @param {boolean} dark */
export const namesOf = (dark) => (dark ? DARK : LIGHT);

/**
 * The size of a point in CSS pixels: smaller for more points, growing slowly with the zoom.
 *
 * @param {number} n
 * @param {number} zoom
 */
export function pointSize(n, zoom) {
  const [, base] = [
    [2e3, 6],
    [2e4, 4],
    [2e5, 2.6],
  ].find(([most]) => n < most) ?? [Infinity, 1.8];
  return Math.min(LARGEST, base * Math.min(2.5, zoom ** 0.35));
}

/**
 * @param {Theme} theme
 * @param {ColorBy} colorBy
 * @param {number} size of a point in device pixels
 * @returns {Look}
 */
export function lookOf(theme, colorBy, size) {
  const own = namesOf(theme.dark);
  // A number has an order, and so have its colours; the shader wants as many as there are of the palette.
  const names = colorBy === "value" ? { ...own, palette: own.palette.map((_, i) => own.values[i] ?? own.plain) } : own;
  // Where colour says something else than flagged, the unflagged step back and the flagged stay full.
  const isPlain = colorBy === "flagged";
  return {
    colorBy,
    names,
    accent: fromHex(names.accent),
    plain: fromHex(names.plain),
    ink: theme.text,
    ramp: names.ramp.map(fromHex),
    palette: names.palette.map(fromHex),
    verdicts: names.verdicts.map(fromHex),
    size,
    faint: isPlain ? 0.3 : 0.22,
    strong: isPlain ? 0.85 : 0.6,
    flaggedAlpha: 0.8,
  };
}
