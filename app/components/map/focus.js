// The point under the pointer and the point of the keyboard.

/** @import { Place } from "./drawing/view.js" */
/** @import { CardSource } from "./card.js" */

import { factsOf, HoverCard } from "./card.js";
import { el } from "../dom.js";

const RADIUS = 14; // CSS pixels around the pointer in which a point is hit

export class Focus {
  hovered = -1;
  focused = -1;

  /**
   * @param {() => CardSource | null} source the map, once it is there
   * @param {() => void} changed
   */
  constructor(source, changed) {
    this.source = source;
    this.changed = changed;
    this.card = new HoverCard();
    this.live = el("div", { class: "hidden", "aria-live": "polite" });
  }

  /** @returns {Place | null} where the keyboard's point is on screen */
  get pixel() {
    return this.pixelOf(this.focused);
  }

  /**
   * Where a point is on screen; null for none.
   *
   * @param {number} rank
   * @returns {Place | null}
   */
  pixelOf(rank) {
    const map = this.source();
    return map && rank >= 0 ? map.view.toScreen(map.points.place(rank)) : null;
  }

  /** @param {Place | null} pixel */
  hover(pixel) {
    const map = this.source();
    const rank = map && pixel ? rankAt(map, pixel) : -1;
    if (rank === this.hovered) return;
    this.hovered = rank;
    if (map && rank >= 0) this.card.show(rank, map);
    else this.card.hide();
    this.changed();
  }

  /** @param {Place} pixel */
  pickAt(pixel) {
    const map = this.source();
    this.focused = map ? rankAt(map, pixel) : -1;
    this.pick();
    this.changed();
  }

  /** Tell the server which point was picked. */
  pick() {
    if (this.focused >= 0) this.source()?.send("pick", { rank: this.focused, time: Date.now() });
  }

  /**
   * Go on by suspicion.
   *
   * @param {number} by
   */
  step(by) {
    const map = this.source();
    if (!map?.points.n) return;
    const { stride, drawn } = map.points;
    const point = this.focused < 0 ? by - 1 : this.focused / stride + by;
    this.#focus(Math.min(drawn - 1, Math.max(0, point)) * stride, map);
  }

  /**
   * Go to the next point in a direction.
   *
   * @param {Place} direction
   */
  towards(direction) {
    const map = this.source();
    if (!map?.points.n) return;
    const rank = this.focused < 0 ? 0 : map.points.towards(this.focused, direction);
    if (rank >= 0) this.#focus(rank, map);
  }

  /** Point at nothing. */
  clear() {
    this.hovered = -1;
    this.focused = -1;
    this.card.hide();
    this.changed();
  }

  /** @param {string} text */
  announce(text) {
    this.live.textContent = text;
  }

  /**
   * @param {number} rank
   * @param {CardSource} map
   */
  #focus(rank, map) {
    this.focused = rank;
    map.view.reveal(map.points.place(rank));
    this.card.show(rank, map);
    this.announce(factsOf(map, rank).join(", "));
    this.changed();
  }
}

/**
 * @param {CardSource} map
 * @param {Place} pixel
 */
function rankAt({ points, view }, pixel) {
  const [perX, perY] = view.pixels;
  return points.n ? points.nearest(view.toData(pixel), [RADIUS / perX, RADIUS / perY]) : -1;
}
