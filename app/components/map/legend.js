// The list of colours below the map.

/** @import { Look } from "./drawing/look.js" */
/** @import { Entry, Kinds } from "./drawing/kinds.js" */

import { ClassSearch } from "../class_search.js";
import { button, closeByEscape, el } from "../dom.js";
import { coloredCodes, legendOf, slotsOf } from "./drawing/kinds.js";

export class Legend {
  /** @type {number[]} classes or findings with a colour */
  #codes = [];
  /** @type {number[]} those that the person asked for */
  #picked = [];
  /** @type {string[]} */
  #names = [];
  #drawn = "";

  /** @param {() => void} changed called when other kinds are to have a colour */
  constructor(changed) {
    this.changed = changed;
    this.root = el("ul", { class: "legend", "aria-label": "Colours" });
    this.search = new ClassSearch();
    closeByEscape(this.search.root, () => this.root.querySelector("button")?.focus());
  }

  /**
   * Choose which kinds have a colour; return each point's position in the palette.
   *
   * @param {Kinds} kinds
   * @param {number} n points
   * @param {(point: number) => boolean} isLookedAt
   */
  assign(kinds, n, isLookedAt) {
    if (kinds.names !== this.#names) this.#picked = [];
    this.#names = kinds.names;
    this.#codes = coloredCodes(kinds, n, isLookedAt, this.#picked);
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
    this.root.replaceChildren(...entries.map((entry) => this.#item(entry)));
  }

  /** @param {Entry} entry */
  #item({ color, name, isRest }) {
    const label = "Choose another class to colour";
    const text = isRest ? button(name, label, () => this.#choose(), { class: "rest" }) : name;
    return el("li", {}, el("span", { class: "swatch", style: `background:${color}` }), text);
  }

  #choose() {
    const others = this.#names.filter((_, code) => !this.#codes.includes(code));
    this.search.open(others, (name) => {
      this.#picked = [this.#names.indexOf(name), ...this.#picked];
      this.changed();
    });
  }
}
