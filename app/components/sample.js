// One sample as the server sends it (see sample_view.py), and its words.

/** @import { Tagged } from "./preview/tags.js" */
/** @import { Scale } from "./preview/value_scale.js" */

/** Texts by their places in the row, as JSON Pointers. @typedef {[place: string, text: string][]} Texts */

/**
 * A number of a row on its column's axis, 0 to 1, with the places of the 10, 50 and 90 % of its class and of another.
 *
 * @typedef {{ column: string, place: number, given: number[] | null, other: number[] | null, unusual: boolean }} Value
 */

/**
 * @typedef {object} Sample
 * @property {string} id
 * @property {string} [image] a `data:image/…` address
 * @property {string | null} [overlay] a saliency map, laid over the image when asked for
 * @property {[name: string, address: string][]} [layers] that may lie over the image: its mask and others
 * @property {[name: string, colour: string][]} [legend] classes in the layers; "" for one without a colour
 * @property {boolean} [pixelated] the image is small
 * @property {string} [text]
 * @property {string} [text_pair]
 * @property {boolean} [cut] the text is longer than what was sent
 * @property {[start: number, end: number, weight: number][]} [weights] parts of `text` to shade, -1 to 1
 * @property {[start: number, end: number, weight: number][]} [pair_weights] the same of `text_pair`
 * @property {string} [weights_note] what the weights add up to
 * @property {[name: string, value: string][]} [fields] of a table row
 * @property {Value[]} [values] of the fields that are numbers, the unusual ones first
 * @property {[role: string, content: string][]} [messages] of a chat
 * @property {[name: string, text: string][]} [pair] the two answers of a preference pair
 * @property {Texts} [responses] that may be edited
 * @property {Texts} [edit] that stands
 * @property {[message: number, start: number, end: number, loss: number][]} [heat] tokens of the chat to shade
 * @property {string} [heat_note]
 * @property {Scale} [scale] of a number, on the distribution of all
 * @property {Tagged} [tags] of a sentence whose words have tags
 * @property {string} [given]
 * @property {string} [predicted]
 * @property {[name: string, probability: number][]} [probabilities] most likely first
 * @property {number} [wrong] the probability that the given label is wrong
 * @property {number} [percentile]
 * @property {boolean} [flagged]
 * @property {string} [finding]
 * @property {string} [why]
 * @property {string} [decision]
 * @property {string} [new_label]
 * @property {string} [note]
 * @property {string} [position]
 * @property {string} [unreadable]
 */

/**
 * A text in order, in parts of one weight; null where a part has none. Positions count whole code points as Python does,
 * not UTF-16 units; a part that overlaps an earlier one is left out.
 *
 * @param {string} text
 * @param {[start: number, end: number, weight: number][]} weights
 * @returns {{ text: string, weight: number | null }[]}
 */
export function shadedParts(text, weights) {
  const letters = Array.from(text);
  const parts = [];
  let position = 0;
  for (const [start, end, weight] of [...weights].sort((a, b) => a[0] - b[0])) {
    if (start < position || end <= start) continue;
    parts.push({ text: letters.slice(position, start).join(""), weight: null });
    parts.push({ text: letters.slice(start, end).join(""), weight });
    position = end;
  }
  parts.push({ text: letters.slice(position).join(""), weight: null });
  return parts.filter((part) => part.text);
}

/**
 * A sample without a picture in a line or a few: its text, chat or fields; undefined where there are none.
 *
 * @param {Sample} sample
 * @param {string} separator between messages or fields
 */
export function wordsOf(sample, separator) {
  if (sample.text !== undefined) return sample.text;
  const parts = sample.pair ? [...(sample.messages ?? []), ...sample.pair] : (sample.messages ?? sample.fields);
  return parts?.map(([name, value]) => `${name}: ${value}`).join(separator);
}
