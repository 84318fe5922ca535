// The map of gradients: toolbar, plot, histogram with threshold, hover card. See gradient_map.py for what goes up and down.

import { addStyle, button, count, el, fetchBytes, keepView, number, share, themeOf } from "../common.js";
import { HoverCard } from "./card.js";
import { Gestures, simplify } from "./gestures.js";
import { Histogram } from "./histogram.js";
import { PointLayer } from "./layer.js";
import { legendOf, lookOf } from "./look.js";
import { drawOverlay } from "./overlay.js";
import { cachedPoints, parsePoints } from "./points.js";
import { View } from "./view.js";
import style from "./gradient_map.css";
import previewStyle from "../sample_preview.css";

const SETTLE = 140;
const MOST_CORNERS = 300;

export function mount(component) {
  return keepView(component, (first) => new GradientMap(first.parentElement));
}

class GradientMap {
  constructor(place) {
    this.surface = el("canvas", { class: "surface", tabindex: "0", role: "application" });
    this.overlay = el("canvas", { class: "overlay", "aria-hidden": "true" });
    this.card = new HoverCard(this);
    this.message = el("div", { class: "message", role: "status" }, "Loading the map …");
    this.plot = el("div", { class: "plot" }, this.surface, this.overlay, this.card.root, this.message);
    this.histogram = new Histogram((flagged) => this.#threshold(flagged), () => this.#release());
    this.readout = el("output", { class: "readout" });
    this.legend = el("ul", { class: "legend", "aria-label": "Colours" });
    this.live = el("div", { class: "hidden", "aria-live": "polite" });
    this.root = el("div", { class: "map" }, this.#toolbar(), this.plot,
      el("div", { class: "below" }, this.readout, this.legend), this.histogram.root, this.live);
    addStyle(place, style, previewStyle);
    place.append(this.root);
    this.view = new View(() => this.#viewChanged());
    this.gestures = new Gestures(this.surface, this);
    this.hovered = this.focused = -1;
    this.released = 0;
    this.layer = new PointLayer(this.surface);
    this.surface.addEventListener("webglcontextlost", (event) => { event.preventDefault(); this.lost = true; });
    this.surface.addEventListener("webglcontextrestored", () => { this.lost = false; this.layer.restore(); this.#redraw("full"); });
    this.resizing = new ResizeObserver(() => this.#resize());
    this.resizing.observe(this.plot);
  }

  destroy() {
    this.gone = true;
    this.resizing.disconnect();
    clearTimeout(this.settling);
    this.card.close();
    this.layer.destroy();
    this.root.remove();
  }

  // Updates are taken one after the other, the latest next: a slow fetch must not overwrite a later state.
  async update({ data, setStateValue }) {
    this.send = setStateValue;
    this.next = data;
    if (this.busy) return;
    this.busy = true;
    while (this.next && !this.gone) {
      const taken = this.next;
      this.next = null;
      await this.#apply(taken).catch((error) => this.#say(`The map could not be loaded (${error.message}). Reload the page.`));
    }
    this.busy = false;
  }

  async #apply(data) {
    this.root.style.height = `${data.height}px`;
    this.theme = themeOf(this.root);
    if (!this.layer.gl) {
      this.#say("This browser has no WebGL2; a simpler map is shown.");
      if (!this.refused) this.send("supported", false);
      this.refused = true;
      return;
    }
    const before = this.data ?? {};
    // Only what has a new address is fetched.
    const fetched = (name) => data[name] && data[name] !== before[name] ? fetchBytes(data[name]) : null;
    if (!cachedPoints(data.version)) parsePoints(data.version, await fetchBytes(data.points));
    const [selection, decisions] = await Promise.all([fetched("selection"), fetched("decisions")]);
    if (this.gone) return;
    this.data = data;
    if (data.version !== before.version) this.#adopt(cachedPoints(data.version));
    if (selection || !data.selection) this.layer.setChosen(selection && new Uint8Array(selection));
    if (decisions || !data.decisions) this.layer.setDecisions(decisions && new Uint32Array(decisions));
    // An answer to an earlier release must not move the handle back.
    const current = data.answers >= this.released && !this.histogram.dragging;
    if (current && data.count !== this.confirmed) this.flagged = this.confirmed = data.count;
    if (data.card) this.card.keep(data.card);
    const unchanged = ["version", "selection", "decisions", "colorBy"].every((name) => data[name] === before[name]);
    // A new selection first shows on a sample of a large map, so that what else it changes on the page is not held up.
    if (data.version === before.version && data.selection !== before.selection) this.#viewChanged();
    else this.#redraw(unchanged && this.theme.dark === this.drawnDark ? null : "full");
    this.drawnDark = this.theme.dark;
  }

  #adopt(points) {
    this.points = points;
    this.view.setBounds(points.bounds);
    this.histogram.setPoints(points);
    this.layer.setPoints(points, null, null);
    this.flagged = this.confirmed = this.data.count;
    this.focused = this.hovered = -1;
    this.card.clear();
    this.#say(points.n ? "" : "There are no samples to show.");
    this.surface.setAttribute("aria-label", `Map of ${count(points.n)} samples. Arrow keys move from point to point, `
      + "n and p go by suspicion, Enter opens, Space marks the corners of a selection, plus and minus zoom, 0 shows all.");
  }

  #say(text) {
    this.message.hidden = !text;
    this.message.textContent = text;
  }

  #toolbar() {
    const modes = [["pan", "Move"], ["box", "Box"], ["lasso", "Lasso"]].map(([mode, text]) => {
      const node = button(text, `${text}: drag on the map`, () => {
        this.gestures.mode = mode;
        for (const other of modes) other.setAttribute("aria-pressed", String(other === node));
        this.surface.classList.toggle("drawing", mode !== "pan");
      }, { "aria-pressed": String(mode === "pan") });
      return node;
    });
    const middle = () => [this.view.width / 2, this.view.height / 2];
    this.clear = button("Clear selection", "Clear the selection", () => this.escape(), { hidden: true });
    return el("div", { class: "toolbar", role: "toolbar", "aria-label": "Map" }, modes, el("span", { class: "gap" }),
      button("+", "Zoom in", () => this.view.zoomAt(...middle(), 1.5)),
      button("−", "Zoom out", () => this.view.zoomAt(...middle(), 1 / 1.5)),
      button("Fit", "Show all points", () => this.view.fit()), el("span", { class: "gap" }), this.clear);
  }

  #resize() {
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    const { clientWidth: width, clientHeight: height } = this.plot;
    if (!width || !height) return;
    for (const canvas of [this.surface, this.overlay]) [canvas.width, canvas.height] = [width * ratio, height * ratio].map(Math.round);
    [this.view.width, this.view.height, this.ratio] = [width, height, ratio];
    if (this.points) this.#redraw("full");
  }

  #viewChanged() {
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.#redraw("full"), SETTLE);
    this.#redraw("draft");
  }

  // `depth`: redraw all points, a draft of them, or only what lies over them.
  #redraw(depth) {
    if (depth && this.stale !== "full") this.stale = depth;
    this.#schedule();
  }

  // At most one frame is pending, however many events came since the last.
  #schedule() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.#draw();
    });
  }

  #draw() {
    if (!this.points || this.lost || this.gone || !this.ratio) return;
    // The pointer and an outline change only what lies over the points.
    if (this.stale || this.flagged !== this.drawnFlagged) this.#drawPoints();
    this.clear.hidden = !this.data.polygon;
    drawOverlay(this);
  }

  #drawPoints() {
    const look = lookOf(this.theme, this.data.colorBy, this.points.n, this.ratio, this.view.zoom);
    const { clip } = this.view;
    if (this.stale) this.layer.drawDensity(clip, look, this.stale === "draft");
    this.layer.drawFrame(clip, look, this.flagged);
    this.histogram.setCount(this.flagged);
    this.histogram.draw(look, this.theme);
    const legend = `${this.data.version} ${this.data.colorBy} ${this.theme.dark} ${Boolean(this.data.decisions)}`;
    if (this.drawnLegend !== legend) this.#drawLegend(look);
    this.drawnLegend = legend;
    const score = this.flagged ? `${this.data.scoreName} ≥ ${number(this.points.scores[this.flagged - 1])}` : "none";
    this.readout.replaceChildren(el("strong", {}, count(this.flagged)),
      ` of ${count(this.points.n)} flagged · ${share(this.flagged, this.points.n)} · ${score}`);
    this.stale = null;
    this.drawnFlagged = this.flagged;
  }

  #drawLegend(look) {
    this.legend.replaceChildren(...legendOf(look, this.points, this.data.decisions).map(([color, name]) =>
      el("li", {}, color && el("span", { class: "swatch", style: `background:${color}` }), name)));
  }

  #threshold(flagged) {
    if (flagged === this.flagged) return;
    this.flagged = flagged;
    this.#schedule();
  }

  #release() {
    if (this.flagged === this.confirmed) return;
    this.confirmed = this.flagged;
    this.released = Date.now();
    this.send("threshold", { count: this.flagged, time: this.released });
  }

  outline(path) {
    this.path = path;
    this.#schedule();
  }

  select(path) {
    this.path = null;
    let tolerance = 1.5;
    let corners = simplify(path, tolerance);
    while (corners.length > MOST_CORNERS) corners = simplify(path, (tolerance *= 1.5));
    const polygon = corners.map((corner) => this.view.toData(corner));
    if (polygon.length >= 3) this.send("selection", { polygon, time: Date.now() });
    this.#schedule();
  }

  escape() {
    this.gestures.first = this.path = null;
    this.focused = -1;
    if (this.data.polygon) this.send("selection", { polygon: null, time: Date.now() });
    this.hover(null);
  }

  hover(at, radius) {
    const rank = at ? this.#rankAt(at, radius) : -1;
    if (rank === this.hovered) return;
    this.hovered = rank;
    this.card.show(rank);
    this.#schedule();
  }

  pickAt(at, radius) {
    this.focused = this.#rankAt(at, radius);
    if (this.focused >= 0) this.pickFocused();
    this.#schedule();
  }

  pickFocused() {
    if (this.focused >= 0) this.send("pick", { rank: this.focused, time: Date.now() });
  }

  step(by) {
    if (this.points?.n) this.#focus(Math.min(this.points.n - 1, Math.max(0, this.focused + by)));
  }

  towards(dx, dy) {
    if (!this.points?.n) return;
    const rank = this.focused < 0 ? 0 : this.points.towards(this.focused, dx, dy);
    if (rank >= 0) this.#focus(rank);
  }

  focusedPlace() {
    return this.focused < 0 ? null : this.view.toScreen(this.placeOf(this.focused));
  }

  placeOf(rank) {
    return [this.points.x(rank), this.points.y(rank)];
  }

  announce(text) {
    this.live.textContent = text;
  }

  #focus(rank) {
    this.focused = rank;
    this.view.reveal(this.placeOf(rank));
    this.card.show(rank);
    this.announce(this.card.facts(rank).join(", "));
    this.#schedule();
  }

  #rankAt([x, y], radius) {
    if (!this.points?.n) return -1;
    const [perX, perY] = this.view.pixels;
    return this.points.nearest(...this.view.toData([x, y]), radius / perX, radius / perY);
  }
}
