// A sentence whose words have tags: each word with its tag below, coloured by what it names, the doubtful ones marked.

import { el } from "../dom.js";
import { percent } from "../format.js";

/**
 * @typedef {object} Tagged
 * @property {string[]} words
 * @property {string[]} given one tag a word
 * @property {[place: number, tag: string, wrong: number][]} doubts words whose tags look wrong, the worst first, each
 *   with the likeliest other tag and how likely the given one is wrong
 */

const HUES = [25, 210, 140, 285, 330, 80, 175, 255]; // steps of the colour wheel that eyes tell apart
const OUTSIDE = "O"; // a word of no entity

/**
 * @param {Tagged} tagged
 * @param {string | undefined} decided the tags that were decided, as the server writes several labels
 */
export function taggedSentence({ words, given, doubts }, decided) {
  const tags = decided?.split(" | ") ?? given;
  const kinds = [...new Set(tags.map(kindOf))].sort();
  const items = words.map((word, place) => {
    const doubt = doubts.find(([other]) => other === place);
    const isWorst = doubts[0]?.[0] === place;
    const hue = HUES[kinds.indexOf(kindOf(tags[place])) % HUES.length];
    return el(
      "li",
      { class: ["word", doubt && "doubtful", isWorst && "worst"].filter(Boolean).join(" ") },
      el("span", { dir: "auto" }, word),
      el("span", { class: tags[place] === OUTSIDE ? "tag outside" : "tag", style: `--hue:${hue}` }, tags[place]),
      doubt && el("span", { class: "instead" }, `${doubt[1]}? ${percent(doubt[2])}`),
    );
  });
  return el("ol", { class: "tagged", "aria-label": "Words and their tags", tabindex: "0" }, items);
}

/** What a tag names, without its place in the entity (B-, I-, E-, S-). @param {string} tag */
export function kindOf(tag) {
  return tag.replace(/^[BIESLU]-/, "");
}
