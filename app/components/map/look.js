// Colours of the map. Warm red-orange is kept for what is flagged; the palettes hold for the common kinds of colour blindness.

import { colorOf } from "../common.js";

const LIGHT = {
  accent: "#c2410c", plain: "#7d8590", ramp: ["#c3cad3", "#e2a24a", "#b8320c"],
  palette: ["#0072b2", "#44aa99", "#cc79a7", "#999933", "#332288", "#88ccee", "#117733", "#882255", "#ddaa33", "#666666"],
  verdicts: ["#7d8590", "#009e73", "#0072b2", "#b3478f", "#d08e00"],
};
const DARK = {
  accent: "#ff6b3d", plain: "#9aa4b2", ramp: ["#4a5361", "#c07f2c", "#ff7043"],
  palette: ["#4aa3df", "#5cc9b4", "#e39ac4", "#c2c25a", "#8f86e8", "#a5dcf5", "#4fb872", "#d0709c", "#f0c864", "#b0b0b0"],
  verdicts: ["#9aa4b2", "#33c79a", "#4aa3df", "#d67bbf", "#f0c864"],
};

export const DECISIONS = ["", "keep", "relabel", "remove", "unsure"];

export function lookOf(theme, colorBy, n, ratio, zoom) {
  const names = theme.dark ? DARK : LIGHT;
  const base = n < 2e3 ? 6 : n < 2e4 ? 4 : n < 2e5 ? 2.6 : 1.8;
  return {
    colorBy,
    names,
    accent: colorOf(names.accent),
    ink: theme.text,
    plain: colorOf(names.plain),
    ramp: names.ramp.map(colorOf),
    palette: names.palette.map(colorOf),
    verdicts: names.verdicts.map(colorOf),
    size: Math.min(12, base * Math.min(2.5, zoom ** 0.35)) * ratio,
    // Where colour says something else than flagged, the unflagged step back and the flagged stay full.
    faint: colorBy === "flagged" ? 0.3 : 0.22,
    strong: colorBy === "flagged" ? 0.85 : 0.6,
    flaggedAlpha: 0.8,
  };
}

export function legendOf(look, points, decided) {
  const cycle = (names) => {
    const shown = names.slice(0, 8).map((name, i) => [look.names.palette[i % 10], name]);
    return names.length > 8 ? [...shown, [null, `and ${names.length - 8} more; colours repeat`]] : shown;
  };
  switch (look.colorBy) {
    case "score": return [[`linear-gradient(90deg, ${look.names.ramp.join(", ")})`, "least to most suspicious"]];
    case "label": return cycle(points.labels);
    case "finding": return cycle(points.findings);
    case "decision": return [
      ...DECISIONS.slice(1).map((name, i) => [look.names.verdicts[i + 1], name]),
      [look.names.plain, decided ? "undecided" : "nothing decided yet"],
    ];
    default: return [[look.names.accent, "flagged"], [look.names.plain, "not flagged"]];
  }
}
