// The names of the clusters over the map: each where its cluster lies, none over another.

/** @import { Place, View } from "./view.js" */

import { button, el } from "../../dom.js";

const AIR = 4; // pixels around a name

/** The name of a cluster and where it stands, the largest first. @typedef {[name: string, place: Place]} ClusterName */

export class ClusterNames {
  /** @type {{ node: HTMLElement, place: Place }[]} */
  #names = [];
  #drawn = "";

  constructor() {
    this.root = el("div", { class: "names", "aria-hidden": "true" });
    this.toggle = button("Names", "Show or hide the names of the clusters", () =>
      this.#show(this.root.hidden === true),
    );
    this.#show(true);
  }

  /** @param {ClusterName[]} clusters */
  set(clusters) {
    this.toggle.hidden = !clusters.length;
    this.#names = clusters.map(([name, place]) => ({ node: el("span", { dir: "auto" }, name), place }));
    this.#drawn = "";
    this.root.replaceChildren(...this.#names.map(({ node }) => node));
  }

  /**
   * Put the names where their clusters are, or just above or below; those that would still lie over a larger cluster's,
   * or outside, are not shown.
   *
   * @param {View} view
   */
  draw(view) {
    const now = [view.width, view.height, view.zoom, view.center].join();
    if (now === this.#drawn || this.root.hidden) return;
    this.#drawn = now;
    const sizes = this.#names.map(({ node }) => [node.offsetWidth / 2 + AIR, node.offsetHeight / 2 + AIR]);
    /** @type {{ x: number, y: number, wide: number, high: number }[]} */
    const shown = [];
    this.#names.forEach(({ node, place }, i) => {
      const [x, middle] = view.toScreen(place);
      const [wide, high] = sizes[i];
      const free = (/** @type {number} */ y) =>
        x >= wide && x <= view.width - wide && y >= high && y <= view.height - high &&
        shown.every((other) => Math.abs(other.x - x) >= other.wide + wide || Math.abs(other.y - y) >= other.high + high); // prettier-ignore
      const y = [0, -2, 2].map((by) => middle + by * high).find(free);
      node.style.visibility = y === undefined ? "hidden" : "visible";
      node.style.left = `${x}px`;
      node.style.top = `${y ?? middle}px`;
      if (y !== undefined) shown.push({ x, y, wide, high });
    });
  }

  /** @param {boolean} isShown */
  #show(isShown) {
    this.root.hidden = !isShown;
    this.toggle.setAttribute("aria-pressed", String(isShown));
    this.#drawn = "";
  }
}
