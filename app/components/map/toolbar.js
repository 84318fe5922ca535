// The buttons above the map.

/** @import { View } from "./drawing/view.js" */
/** @import { Gestures, Mode } from "./gestures.js" */

import { button, el } from "../dom.js";

/** @type {[Mode, string][]} */
const MODES = [
  ["pan", "Move"],
  ["box", "Box"],
  ["lasso", "Lasso"],
];
const ZOOM = 1.5;

/**
 * @param {Gestures} gestures
 * @param {View} view
 * @param {HTMLButtonElement[]} more buttons at the end
 */
export function toolbar(gestures, view, more) {
  const modes = MODES.map(([mode, text]) => {
    const node = button(text, `${text}: drag on the map`, () => {
      gestures.mode = mode;
      for (const other of modes) other.setAttribute("aria-pressed", String(other === node));
      gestures.surface.classList.toggle("drawing", mode !== "pan");
    });
    node.setAttribute("aria-pressed", String(mode === "pan"));
    return node;
  });
  return el(
    "div",
    { class: "toolbar", role: "toolbar", "aria-label": "Map" },
    modes,
    el("span", { class: "gap" }),
    button("+", "Zoom in", () => view.zoomAt(view.middle, ZOOM)),
    button("−", "Zoom out", () => view.zoomAt(view.middle, 1 / ZOOM)),
    button("Fit", "Show all points", () => view.fit()),
    el("span", { class: "gap" }),
    more,
  );
}
