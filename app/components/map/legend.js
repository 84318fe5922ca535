// The list of colours below the map.

/** @import { Look } from "./drawing/look.js" */
/** @import { Kinds } from "./drawing/kinds.js" */

import { el } from "../dom.js";
import { coloredCodes, legendOf, slotsOf } from "./drawing/kinds.js";

export class Legend {
  /** @type {number[]} classes or findings with a colour */
  #codes = [];
  #drawn = "";

  constructor() {
    this.root = el("ul", { class: "legend", "aria-label": "Colours" });
  }

  /**
   * Choose which kinds have a colour; return each point's position in the palette.
   *
   * @param {Kinds} kinds
   * @param {number} n points
   * @param {(rank: number) => boolean} isLookedAt
   */
  assign(kinds, n, isLookedAt) {
    this.#codes = coloredCodes(kinds, n, isLookedAt, []);
    return slotsOf(kinds, n, this.#codes);
  }

  /**
   * @param {Look} look
   * @param {Kinds | null} kinds
   * @param {boolean} isDecided whether there is any decision
   */
  draw(look, kinds, isDecided) {
    const entries = legendOf(look, kinds, this.#codes, isDecided);
    const drawn = JSON.stringify(entries);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const items = entries.map(({ color, name }) =>
      el("li", {}, el("span", { class: "swatch", style: `background:${color}` }), name),
    );
    this.root.replaceChildren(...items);
  }
}
