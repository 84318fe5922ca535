// The card beside a point: what the browser knows shows at once, the sample itself is asked for when the pointer rests.

import { count, el, number } from "../common.js";
import { DECISIONS } from "./look.js";
import { sampleCard } from "../sample_preview.js";

const DWELL = 160;
const MOST = 200;

export class HoverCard {
  // `map` offers: points, layer, view, data, flagged, placeOf, send.
  constructor(map) {
    this.map = map;
    this.root = el("div", { class: "card", hidden: true });
    this.samples = new Map();
    this.rank = -1;
  }

  // Label, score, rank and what was found and decided, as words.
  facts(rank) {
    const { points, data, layer, flagged } = this.map;
    return [
      points.label(rank) ?? "no label",
      `${data.scoreName} ${number(points.scores[rank])}`,
      `rank ${count(rank + 1)}`,
      rank < flagged ? "flagged" : "not flagged",
      points.finding(rank),
      DECISIONS[layer.decisionOf(rank)],
    ].filter(Boolean);
  }

  keep({ rank, sample }) {
    this.samples.set(rank, sample);
    if (this.samples.size > MOST) this.samples.delete(this.samples.keys().next().value);
    if (rank === this.rank) this.show(rank);
  }

  show(rank) {
    const { view, data, send } = this.map;
    this.close();
    this.rank = rank;
    this.root.hidden = rank < 0;
    if (rank < 0) return;
    const sample = this.samples.get(rank);
    this.root.replaceChildren(el("div", { class: "facts" }, this.facts(rank).join(" · ")), sample ? sampleCard(sample) : "");
    const [x, y] = view.toScreen(this.map.placeOf(rank));
    this.root.classList.toggle("leftwards", x > view.width / 2);
    this.root.classList.toggle("upwards", y > view.height / 2);
    this.root.style.left = `${x}px`;
    this.root.style.top = `${y}px`;
    if (!sample && data.hasPreview) this.dwelling = setTimeout(() => send("hover", { rank, time: Date.now() }), DWELL);
  }

  // Samples of another map are other samples.
  clear() {
    this.samples.clear();
    this.show(-1);
  }

  close() {
    clearTimeout(this.dwelling);
  }
}
