// One tile of the grid: a thumbnail or the beginning of a text, the labels below it.

/** @import { Sample } from "../sample.js" */

import { el } from "../dom.js";
import { cut, joined } from "../format.js";
import { wordsOf } from "../sample.js";

const TEXT = 240;

/** @param {Sample} sample */
export function gridTile(sample) {
  const { id, given, predicted, flagged, decision } = sample;
  const suggestion = predicted !== undefined && predicted !== given ? `→ ${predicted}` : "";
  const caption = el(
    "div",
    { class: "caption", title: joined(" ", given, suggestion) },
    el("span", { class: "given", dir: "auto" }, given ?? id),
    suggestion && el("span", { class: "predicted", dir: "auto" }, suggestion),
  );
  const attributes = {
    class: flagged ? "tile flagged" : "tile",
    role: "option",
    tabindex: "-1",
    "aria-selected": "false",
    "aria-label": description(sample),
  };
  return el(
    "div",
    attributes,
    el("div", { class: "view" }, content(sample)),
    caption,
    decision && el("span", { class: `verdict ${decision}` }, sample.new_label ?? decision),
    el("span", { class: "tick", "aria-hidden": "true" }, "✓"),
  );
}

/**
 * @param {HTMLElement} tile
 * @param {boolean} isSelected
 * @param {boolean} isCurrent
 */
export function markTile(tile, isSelected, isCurrent) {
  tile.setAttribute("aria-selected", String(isSelected));
  tile.tabIndex = isCurrent ? 0 : -1;
}

/** @param {Sample} sample */
function content(sample) {
  if (sample.image) {
    const attributes = { alt: "", draggable: "false", class: sample.pixelated ? "pixelated" : "" };
    const image = el("img", { src: sample.image, loading: "lazy", ...attributes });
    const layer = sample.layers?.[0];
    return layer ? el("div", { class: "layered" }, image, el("img", { src: layer[1], ...attributes })) : image;
  }
  const words = wordsOf(sample, "\n") ?? sample.unreadable ?? sample.id;
  return el("div", { class: "words", dir: "auto" }, cut(words, TEXT));
}

/** @param {Sample} sample */
function description({ id, given, predicted, flagged, decision }) {
  return joined(
    ", ",
    id,
    given && `given ${given}`,
    predicted && `predicted ${predicted}`,
    flagged && "flagged",
    decision && `decided ${decision}`,
  );
}
