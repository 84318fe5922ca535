// Shows one sample: image with overlay, text with shaded parts, table row or chat. All strings go in as text nodes.

/** @import { Sample } from "./sample.js" */

import { el } from "./dom.js";
import { cut, percent } from "./format.js";
import { fieldTable } from "./preview/fields.js";
import { maskedPicture } from "./preview/masks.js";
import { shadedParts, wordsOf } from "./sample.js";
import { taggedSentence } from "./preview/tags.js";
import { valueScale } from "./preview/value_scale.js";

const CARD_TEXT = 160;
const HOTTEST = 6; // loss at which a shade is full: the model gave the token a probability of one in four hundred
const STRONGEST = 0.6; // opacity of the shade at weight 1: the letters stay readable

/**
 * @param {Sample} sample
 * @returns {HTMLElement[]}
 */
export function samplePreview(sample) {
  const parts = [];
  if (sample.unreadable) parts.push(el("p", { class: "unreadable" }, sample.unreadable));
  if (sample.image) parts.push(...(sample.layers ? maskedPicture(sample, imageOf(sample)) : [picture(sample)]));
  if (sample.tags) parts.push(taggedSentence(sample.tags, sample.new_label));
  else parts.push(...textsOf(sample));
  if (sample.fields) parts.push(...fieldTable(sample));
  if (sample.messages) parts.push(...shadedChat(sample.messages, sample.heat, sample.heat_note));
  if (sample.pair) parts.push(answers(sample.pair, sample.decision === "swap"));
  if (!parts.length) parts.push(el("p", { class: "unreadable" }, "There is no preview of this sample."));
  if (sample.scale) parts.unshift(valueScale(sample.scale));
  return parts;
}

/**
 * One text or two, with their shades and what those mean.
 *
 * @param {Sample} sample
 */
function textsOf({ text, text_pair, weights = [], pair_weights = [], given, weights_note, cut: isCut }) {
  const parts = [];
  if (text !== undefined) parts.push(shadedText(text, weights));
  if (text_pair !== undefined) parts.push(shadedText(text_pair, pair_weights));
  if (weights.length || pair_weights.length) parts.push(shadeLegend(given, weights_note));
  if (isCut) parts.push(el("p", { class: "cut" }, "The text is longer; its beginning is shown."));
  return parts;
}

/** @param {Sample} sample */
function imageOf({ id, image, pixelated }) {
  const style = pixelated ? "pixelated" : "";
  return el("img", { src: image, alt: `Sample ${id}`, class: style, draggable: "false" });
}

/** @param {Sample} sample */
function picture(sample) {
  const overlay =
    sample.overlay &&
    el("img", { src: sample.overlay, alt: "", class: "saliency", "aria-hidden": "true", draggable: "false" });
  return el("div", { class: "picture" }, imageOf(sample), overlay);
}

/**
 * A text with its shades.
 *
 * @param {string} text
 * @param {[start: number, end: number, weight: number][]} [weights]
 */
function shadedText(text, weights = []) {
  const parts = shadedParts(text, weights);
  const words = parts.map((part) => (part.weight === null ? part.text : shade(part.text, part.weight)));
  return el("div", { class: "text", dir: "auto", tabindex: "0" }, words);
}

/**
 * What the shades mean: warm raises the loss on the given label.
 *
 * @param {string | undefined} given
 * @param {string} [note]
 */
function shadeLegend(given, note = "") {
  const label = given === undefined ? "the given label" : `“${given}”`;
  return el(
    "p",
    { class: "shades", dir: "auto" },
    shade("Words", 1),
    ` speak against ${label}, `,
    shade("words", -1),
    ` for it; the stronger the shade, the more they weigh. ${note}`,
  );
}

/**
 * @param {string} text
 * @param {number} weight -1 to 1
 */
function shade(text, weight) {
  const strength = Math.min(1, Math.abs(weight)) * STRONGEST;
  const attributes = {
    class: weight < 0 ? "against" : "towards",
    style: `--weight:${strength.toFixed(3)}`,
    title: `weight ${weight.toFixed(2)}`,
  };
  return el("mark", attributes, text);
}

/**
 * A conversation, and what its shades mean.
 *
 * @param {[role: string, content: string][]} messages
 * @param {[message: number, start: number, end: number, loss: number][]} [heat]
 * @param {string} [note]
 */
function shadedChat(messages, heat = [], note = "") {
  return heat.length ? [chat(messages, heat), heatLegend(note)] : [chat(messages, heat)];
}

/**
 * A conversation, the tokens that are trained on shaded by their losses.
 *
 * @param {[role: string, content: string][]} messages
 * @param {[message: number, start: number, end: number, loss: number][]} heat
 */
function chat(messages, heat) {
  const turns = messages.map(([role, content], number) =>
    el(
      "li",
      { class: role === "assistant" ? "answer" : "" },
      el("span", { class: "role" }, role),
      el("div", { dir: "auto" }, shadedTurn(content, number, heat)),
    ),
  );
  return el("ol", { class: "chat" }, turns);
}

/**
 * The two answers of a preference pair side by side.
 *
 * @param {[name: string, text: string][]} pair
 * @param {boolean} isSwapped
 */
function answers(pair, isSwapped) {
  const names = pair.map(([name]) => name);
  if (isSwapped) names.reverse();
  return el(
    "div",
    { class: "pair" },
    pair.map(([, text], i) =>
      el(
        "section",
        { class: names[i] === "chosen" ? "answer chosen" : "answer" },
        el("span", { class: "role" }, names[i]),
        el("div", { dir: "auto" }, text),
      ),
    ),
  );
}

/**
 * @param {string} content
 * @param {number} number of the message
 * @param {[message: number, start: number, end: number, loss: number][]} heat
 */
function shadedTurn(content, number, heat) {
  const own = heat.filter(([message]) => message === number);
  if (!own.length) return [content];
  /** @type {[number, number, number][]} */
  const weights = own.map(([, start, end, loss]) => [start, end, loss]);
  return shadedParts(content, weights).map((part) => (part.weight === null ? part.text : hot(part.text, part.weight)));
}

/**
 * A token in the shade of its loss.
 *
 * @param {string} text
 * @param {number} loss in nats
 */
function hot(text, loss) {
  const share = Math.min(1, Math.max(0, loss) / HOTTEST) * STRONGEST;
  const title = `loss ${loss.toFixed(2)}, probability ${percent(Math.exp(-loss))}`;
  return el("mark", { class: "towards", style: `--weight:${share.toFixed(3)}`, title }, text);
}

/**
 * What the shades of a chat mean.
 *
 * @param {string} note
 */
function heatLegend(note) {
  const steps = [0, HOTTEST / 3, (2 * HOTTEST) / 3, HOTTEST].map((loss) => hot(` ${loss} `, loss));
  return el("p", { class: "shades" }, "Loss of each token that is trained on: ", steps, ` or more. ${note}`);
}

/**
 * The small card beside the pointer on the map.
 *
 * @param {Sample} sample
 */
export function sampleCard(sample) {
  const words = wordsOf(sample, " · ");
  return el(
    "div",
    { class: "sample" },
    sample.image && picture({ ...sample, overlay: sample.layers?.[0][1] ?? null }),
    el("div", { class: "name", dir: "auto" }, sample.id),
    words && el("div", { class: "short", dir: "auto" }, cut(words, CARD_TEXT)),
    sample.predicted && el("div", { class: "facts" }, `suggested ${sample.predicted}`),
    sample.why && el("div", { class: "facts" }, sample.why),
  );
}
