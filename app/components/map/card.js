// The card beside a point: what the browser knows shows at once, the sample itself is asked for when the pointer rests.

/** @import { Sample } from "../sample.js" */
/** @import { Send } from "../server.js" */
/** @import { Chances } from "./bins.js" */
/** @import { View } from "./drawing/view.js" */
/** @import { Points } from "./drawing/points.js" */

import { el } from "../dom.js";
import { count, likelyWrong } from "../format.js";
import { sampleCard } from "../sample_preview.js";
import { chanceAt } from "./bins.js";
import { DECISIONS } from "./drawing/look.js";

const DWELL = 160; // ms that the pointer rests before the sample is asked for
const MOST = 200; // samples kept

/**
 * What the card asks of the map.
 *
 * @typedef {object} CardSource
 * @property {Points} points
 * @property {View} view
 * @property {number} flagged
 * @property {Chances | null} chances
 * @property {boolean} hasPreview
 * @property {(rank: number) => number} decisionOf
 * @property {Send} send
 */

/**
 * Label, how likely it is wrong, rank and what was found and decided, as words.
 *
 * @param {CardSource} map
 * @param {number} rank
 */
export function factsOf({ points, flagged, chances, decisionOf }, rank) {
  const chance = chanceAt(chances, rank);
  const facts = [
    points.label(rank) ?? "no label",
    chance !== undefined && likelyWrong(chance),
    `rank ${count(rank + 1)}`,
    rank < flagged ? "flagged" : "not flagged",
    points.finding(rank),
    DECISIONS[decisionOf(rank)],
  ];
  return facts.filter(Boolean);
}

export class HoverCard {
  /** @type {Map<number, Sample>} */
  #samples = new Map();
  #rank = -1;
  #dwelling = 0;

  constructor() {
    this.root = el("div", { class: "card", hidden: true });
  }

  /**
   * Remember a sample that the server sent; show it where it is asked for.
   *
   * @param {{ rank: number, sample: Sample }} answer
   * @param {CardSource} map
   */
  remember({ rank, sample }, map) {
    this.#samples.set(rank, sample);
    if (this.#samples.size > MOST) this.#samples.delete([...this.#samples.keys()][0]);
    if (rank === this.#rank) this.show(rank, map);
  }

  /**
   * @param {number} rank
   * @param {CardSource} map
   */
  show(rank, map) {
    const { view } = map;
    const sample = this.#samples.get(rank);
    this.hide();
    this.#rank = rank;
    this.root.hidden = false;
    this.root.replaceChildren(el("div", { class: "facts" }, factsOf(map, rank).join(" · ")));
    if (sample) this.root.append(sampleCard(sample));
    const [x, y] = view.toScreen(map.points.place(rank));
    this.root.classList.toggle("leftwards", x > view.width / 2);
    this.root.classList.toggle("upwards", y > view.height / 2);
    this.root.style.left = `${x}px`;
    this.root.style.top = `${y}px`;
    if (sample || !map.hasPreview) return;
    this.#dwelling = window.setTimeout(() => map.send("hover", { rank, time: Date.now() }), DWELL);
  }

  hide() {
    clearTimeout(this.#dwelling);
    this.#rank = -1;
    this.root.hidden = true;
  }

  /** Forget all: the samples of another map are other samples. */
  clear() {
    this.#samples.clear();
    this.hide();
  }
}
