// One tile of the grid: a thumbnail or the beginning of a text, the labels below it.

import { el } from "../common.js";

const TEXT = 240;

export function gridTile(sample) {
  const changed = sample.predicted !== undefined && sample.predicted !== sample.given;
  return el("div", { class: `tile${sample.flagged ? " flagged" : ""}`, role: "option", tabindex: "-1", "aria-selected": "false", "aria-label": describe(sample) },
    el("div", { class: "view" }, content(sample)),
    el("div", { class: "caption", title: [sample.given, changed && `→ ${sample.predicted}`].filter(Boolean).join(" ") },
      el("span", { class: "given", dir: "auto" }, sample.given ?? sample.id),
      changed && el("span", { class: "predicted", dir: "auto" }, `→ ${sample.predicted}`)),
    sample.decision && el("span", { class: `verdict ${sample.decision}` }, sample.new_label ?? sample.decision),
    el("span", { class: "tick", "aria-hidden": "true" }, "✓"));
}

export function markTile(tile, selected, current) {
  tile.setAttribute("aria-selected", String(selected));
  tile.tabIndex = current ? 0 : -1;
}

function content(sample) {
  if (sample.image) {
    return el("img", { src: sample.image, alt: "", loading: "lazy", draggable: "false", class: sample.pixelated ? "pixelated" : "" });
  }
  const text = sample.text ?? sample.messages?.map(([role, words]) => `${role}: ${words}`).join("\n")
    ?? sample.fields?.map(([name, value]) => `${name}: ${value}`).join("\n") ?? sample.unreadable ?? sample.id;
  return el("div", { class: "words", dir: "auto" }, text.length > TEXT ? `${text.slice(0, TEXT)} …` : text);
}

function describe(sample) {
  return [sample.id, sample.given && `given ${sample.given}`, sample.predicted && `predicted ${sample.predicted}`,
    sample.flagged && "flagged", sample.decision && `decided ${sample.decision}`].filter(Boolean).join(", ");
}
