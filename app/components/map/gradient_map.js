// The map of gradients: toolbar, plot, histogram with threshold, hover card. See gradient_map.py for what goes up and down.

/** @import { Component, Send } from "../server.js" */
/** @import { CardSource } from "./card.js" */
/** @import { MapContent, MapData } from "./content.js" */
/** @import { PointLayer } from "./drawing/layer.js" */
/** @import { Look } from "./drawing/look.js" */
/** @import { Marks } from "./drawing/overlay.js" */
/** @import { Place } from "./drawing/view.js" */
/** @import { Points } from "./drawing/points.js" */

import { addStyle, button, el } from "../dom.js";
import { count, likelyWrong } from "../format.js";
import { keepView, reason } from "../server.js";
import { themeOf } from "../theme.js";
import { chanceAt, flaggedText } from "./bins.js";
import { fetchContent } from "./content.js";
import { kindsOf } from "./drawing/kinds.js";
import { Scene } from "./drawing/scene.js";
import { Focus } from "./focus.js";
import { Gestures } from "./gestures.js";
import { Histogram } from "./histogram.js";
import { Legend } from "./legend.js";
import { toolbar } from "./toolbar.js";
import style from "./gradient_map.css";
import previewStyle from "../sample_preview.css";
import searchStyle from "../class_search.css";

/** @param {Component<MapData>} component */
export function mount(component) {
  return keepView(component, (first) => new GradientMap(first.parentElement));
}

class GradientMap {
  /** @type {MapData | null} */
  #data = null;
  /** @type {MapData | null} */
  #next = null;
  /** @type {Points | null} */
  #points = null;
  /** @type {Uint8Array | null} */
  #selection = null;
  /** @type {Send} */
  #send = () => {};
  #confirmed = 0;
  #released = 0;
  #isBusy = false;
  #isClosed = false;

  /** @param {HTMLElement} place */
  constructor(place) {
    this.message = el("div", { class: "message", role: "status" }, "Loading the map …");
    this.readout = el("output", { class: "readout" });
    this.legend = new Legend(() => this.#recolor());
    this.clear = button("Clear selection", "Clear the selection", () => this.gestures.clear(), { hidden: true });
    this.scene = new Scene(
      () => this.#marks(),
      (look, theme) => this.#drawAround(look, () => this.histogram.draw(look, theme)),
    );
    this.focus = new Focus(
      () => this.#source(),
      () => this.scene.schedule(),
    );
    this.histogram = new Histogram(
      (flagged) => this.#moveThreshold(flagged),
      () => this.#release(),
    );
    this.gestures = new Gestures(this.scene.surface, {
      view: this.scene.view,
      focus: this.focus,
      redraw: () => this.scene.schedule(),
      select: (polygon) => this.#select(polygon),
    });
    this.scene.root.append(this.scene.names.root, this.focus.card.root, this.message);
    const tools = toolbar(this.gestures, this.scene.view, [this.scene.names.toggle, this.clear]);
    const below = el("div", { class: "below" }, this.readout, this.legend.root);
    this.root = el(
      "div",
      { class: "map" },
      tools,
      this.scene.root,
      below,
      this.histogram.root,
      this.focus.live,
      this.legend.search.root,
    );
    addStyle(place, style, previewStyle, searchStyle);
    place.append(this.root);
  }

  destroy() {
    this.#isClosed = true;
    this.focus.card.hide();
    this.scene.destroy();
    this.root.remove();
  }

  /**
   * Updates are applied one after the other, the latest next: a slow fetch must not overwrite a later state.
   *
   * @param {Component<MapData>} component
   */
  async update({ data, setStateValue }) {
    this.#send = setStateValue;
    this.#next = data;
    if (this.#isBusy) return;
    this.#isBusy = true;
    while (this.#next && !this.#isClosed) {
      const next = this.#next;
      this.#next = null;
      await this.#apply(next).catch((error) =>
        this.#say(`The map could not be loaded (${reason(error)}). Reload the page.`),
      );
    }
    this.#isBusy = false;
  }

  /** @param {MapData} data */
  async #apply(data) {
    const before = this.#data;
    const { layer } = this.scene;
    this.root.style.height = `${data.height}px`;
    if (!layer) {
      this.#refuse(data);
      return;
    }
    const content = await fetchContent(data, before);
    if (this.#isClosed) return;
    this.#data = data;
    if (data.version !== before?.version) this.#adopt(content.points, data);
    else if (String(data.chances) !== String(before.chances)) this.histogram.setChances(data.axis, data.chances);
    this.#setCount(data);
    this.#setContent(content, layer);
    if (data.colorBy !== before?.colorBy || content.selection !== undefined) this.#color(data);
    this.scene.setColors(themeOf(this.root), data.colorBy);
    this.clear.hidden = !data.polygon;
    const map = this.#source();
    if (data.card && map) this.focus.card.remember(data.card, map);
  }

  /**
   * @param {MapContent} content
   * @param {PointLayer} layer
   */
  #setContent({ selection, decisions }, layer) {
    if (selection !== undefined) {
      this.#selection = selection;
      layer.setSelection(selection);
      this.histogram.setSelection(selection);
      // It first shows on a sample of a large map, so that what else it changes on the page is not held up.
      this.scene.moveDraft();
    }
    if (decisions !== undefined) {
      layer.setDecisions(decisions);
      this.scene.moveDraft();
    }
  }

  /** @param {MapData} data */
  #refuse(data) {
    if (!this.#data) this.#send("supported", false);
    this.#data = data;
    this.#say("This browser has no WebGL2; a simpler map is shown.");
  }

  /**
   * @param {Points} points
   * @param {MapData} data
   */
  #adopt(points, data) {
    this.#points = points;
    this.#confirmed = -1;
    this.scene.setPoints(points);
    this.scene.names.set(data.clusters);
    this.histogram.setPoints(points, data.axis, data.chances);
    this.focus.clear();
    this.focus.card.clear();
    this.scene.flagged = data.count;
    this.#say(points.n ? "" : "There are no samples to show.");
    const keys =
      "Arrow keys move from point to point, n and p go by suspicion, Enter opens, Space marks the corners of a " +
      "selection, plus and minus zoom, 0 shows all.";
    this.scene.surface.setAttribute("aria-label", `Map of ${count(points.n)} samples. ${keys}`);
  }

  /**
   * An answer to an earlier release must not move the handle back.
   *
   * @param {MapData} data
   */
  #setCount(data) {
    if (data.answers < this.#released || this.histogram.isDragging || data.count === this.#confirmed) return;
    this.#confirmed = data.count;
    this.scene.flagged = data.count;
  }

  /** @param {MapData} data */
  #color({ colorBy }) {
    const points = this.#points;
    const kinds = points && kindsOf(points, colorBy);
    if (!kinds) return;
    const selection = this.#selection;
    const { flagged } = this.scene;
    const isLookedAt = (/** @type {number} */ point) => {
      const rank = point * points.stride;
      return selection ? selection[rank] === 1 : rank < flagged;
    };
    this.scene.layer?.setSlots(this.legend.assign(kinds, points.drawn, isLookedAt));
  }

  #recolor() {
    if (!this.#data) return;
    this.#color(this.#data);
    this.scene.redraw("full");
  }

  /**
   * What stands around the plot.
   *
   * @param {Look} look
   * @param {() => void} drawHistogram
   */
  #drawAround(look, drawHistogram) {
    const points = this.#points;
    const data = this.#data;
    if (!points || !data) return;
    const { flagged } = this.scene;
    this.histogram.setCount(flagged);
    drawHistogram();
    this.legend.draw(look, kindsOf(points, data.colorBy), Boolean(data.decisions));
    const chance = flagged ? chanceAt(data.chances, flagged - 1) : undefined;
    const threshold = chance === undefined ? "" : `the last one ${likelyWrong(chance)}`;
    const { inside } = this.histogram;
    const filtered = { flagged: inside(flagged), shown: inside(points.n) };
    const text = flaggedText(filtered, { flagged, n: points.n }, threshold);
    this.readout.replaceChildren(el("strong", {}, count(filtered.flagged)), text);
  }

  /** @returns {Marks} */
  #marks() {
    const { path } = this.gestures;
    const outline = this.#data?.polygon?.map((corner) => this.scene.view.toScreen(corner)) ?? null;
    return {
      path: path ?? outline,
      isOpen: path !== null,
      hovered: this.focus.pixelOf(this.focus.hovered),
      focused: this.focus.pixel,
    };
  }

  /** @returns {CardSource | null} */
  #source() {
    const points = this.#points;
    const data = this.#data;
    if (!points || !data) return null;
    const { view, flagged } = this.scene;
    const decisionOf = (/** @type {number} */ rank) => this.scene.layer?.decisionOf(rank) ?? 0;
    return { points, view, flagged, decisionOf, chances: data.chances, hasPreview: data.hasPreview, send: this.#send };
  }

  /** @param {number} flagged */
  #moveThreshold(flagged) {
    if (flagged === this.scene.flagged) return;
    this.scene.flagged = flagged;
    this.scene.schedule();
  }

  /** Tell the server where the threshold was left. */
  #release() {
    const { flagged } = this.scene;
    if (flagged === this.#confirmed) return;
    this.#confirmed = flagged;
    this.#released = Date.now();
    this.#send("threshold", { count: flagged, time: this.#released });
  }

  /** @param {Place[] | null} polygon in data coordinates; null = nothing is selected */
  #select(polygon) {
    if (polygon || this.#data?.polygon) this.#send("selection", { polygon, time: Date.now() });
  }

  /** @param {string} text */
  #say(text) {
    this.message.hidden = !text;
    this.message.textContent = text;
  }
}
