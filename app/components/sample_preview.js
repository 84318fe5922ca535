// Shows one sample: image with overlay, text with shaded parts, table row or chat. All strings go in as text nodes.

import { el } from "./common.js";

const CARD_TEXT = 160;

export function samplePreview(sample) {
  const parts = [];
  if (sample.unreadable) parts.push(el("p", { class: "unreadable" }, sample.unreadable));
  if (sample.image) parts.push(pictures(sample));
  if (sample.text !== undefined) parts.push(shadedText(sample.text, sample.weights ?? []));
  if (sample.text_pair !== undefined) parts.push(shadedText(sample.text_pair, []));
  if (sample.cut) parts.push(el("p", { class: "cut" }, "The text is longer; its beginning is shown."));
  if (sample.fields) parts.push(el("table", { class: "fields" }, el("tbody", {}, sample.fields.map(([name, value]) =>
    el("tr", {}, el("th", { scope: "row", dir: "auto" }, name), el("td", { dir: "auto" }, value))))));
  if (sample.messages) parts.push(el("ol", { class: "chat" }, sample.messages.map(([role, content]) =>
    el("li", { class: role === "assistant" ? "answer" : "" }, el("span", { class: "role" }, role), el("div", { dir: "auto" }, content)))));
  if (!parts.length) parts.push(el("p", { class: "unreadable" }, "There is no preview of this sample."));
  return parts;
}

function pictures(sample) {
  const layers = [el("img", { src: sample.image, alt: `Sample ${sample.id}`, class: sample.pixelated ? "pixelated" : "", draggable: "false" })];
  if (sample.overlay) layers.push(el("img", { src: sample.overlay, alt: "", class: "saliency", "aria-hidden": "true", draggable: "false" }));
  return el("div", { class: "picture" }, layers);
}

// Parts come as (start, end, weight) in characters as Python counts them: whole code points, not UTF-16 units.
export function shadedText(text, weights) {
  const box = el("div", { class: "text", dir: "auto", tabindex: "0" });
  if (!weights.length) {
    box.append(text);
    return box;
  }
  const letters = Array.from(text);
  let at = 0;
  for (const [start, end, weight] of [...weights].sort((a, b) => a[0] - b[0])) {
    if (start < at || end <= start) continue;
    box.append(letters.slice(at, start).join(""));
    const strength = Math.min(1, Math.abs(weight)) * 0.6;
    const word = letters.slice(start, end).join("");
    box.append(el("mark", { class: weight < 0 ? "against" : "towards", style: `--weight:${strength.toFixed(3)}`, title: `weight ${weight.toFixed(2)}` }, word));
    at = end;
  }
  box.append(letters.slice(at).join(""));
  return box;
}

// The small card beside the pointer on the map.
export function sampleCard(sample) {
  const short = sample.text ?? sample.messages?.map(([, content]) => content).join(" · ")
    ?? sample.fields?.map(([name, value]) => `${name}: ${value}`).join(" · ");
  return el("div", { class: "sample" },
    sample.image && pictures({ ...sample, overlay: null }),
    el("div", { class: "name", dir: "auto" }, sample.id),
    short && el("div", { class: "short", dir: "auto" }, short.length > CARD_TEXT ? `${short.slice(0, CARD_TEXT)} …` : short),
    sample.predicted && el("div", { class: "facts" }, `predicted ${sample.predicted}`),
    sample.why && el("div", { class: "facts" }, sample.why));
}
