// The plot: the points, what lies over them, and when to draw which.

/** @import { Theme } from "../../theme.js" */
/** @import { Points } from "./points.js" */
/** @import { ColorBy, Look } from "./look.js" */
/** @import { Marks } from "./overlay.js" */

import { el } from "../../dom.js";
import { ClusterNames } from "./names.js";
import { PointLayer } from "./layer.js";
import { lookOf, pointSize } from "./look.js";
import { Overlay } from "./overlay.js";
import { View } from "./view.js";

/** @typedef {"draft" | "full"} Depth of drawing the points: a sample of a large map, or all */

const SETTLE = 140; // ms after the last movement until all points are drawn
const SHARPEST = 2; // device pixels per CSS pixel: more costs time that nobody sees

export class Scene {
  flagged = 0;
  ratio = 0;
  /** @type {Points | null} */
  #points = null;
  /** @type {Theme | null} */
  #theme = null;
  /** @type {ColorBy} */
  #colorBy = "flagged";
  /** @type {Depth | null} */
  #stale = null;
  #drawnFlagged = -1;
  #frame = 0;
  #settling = 0;
  #isLost = false;

  /**
   * @param {() => Marks} marks what lies over the points
   * @param {(look: Look, theme: Theme) => void} drawn called after the points were drawn
   */
  constructor(marks, drawn) {
    this.marks = marks;
    this.drawn = drawn;
    this.surface = el("canvas", { class: "surface", tabindex: "0", role: "application" });
    const canvas = el("canvas", { class: "overlay", "aria-hidden": "true" });
    this.root = el("div", { class: "plot" }, this.surface, canvas);
    this.overlay = new Overlay(canvas);
    this.names = new ClusterNames();
    this.view = new View(() => this.moveDraft());
    this.layer = PointLayer.on(this.surface);
    this.surface.addEventListener("webglcontextlost", (event) => this.#loseContext(event));
    this.surface.addEventListener("webglcontextrestored", () => this.#restoreContext());
    this.resizing = new ResizeObserver(() => this.#resize());
    this.resizing.observe(this.root);
  }

  destroy() {
    this.resizing.disconnect();
    clearTimeout(this.#settling);
    cancelAnimationFrame(this.#frame);
    this.layer?.destroy();
  }

  /** @param {Points} points */
  setPoints(points) {
    this.#points = points;
    this.view.setBounds(points.bounds);
    this.layer?.setPoints(points);
  }

  /**
   * @param {Theme} theme
   * @param {ColorBy} colorBy
   */
  setColors(theme, colorBy) {
    const isChanged = theme.dark !== this.#theme?.dark || colorBy !== this.#colorBy;
    this.#theme = theme;
    this.#colorBy = colorBy;
    if (isChanged) this.moveDraft();
    else this.schedule();
  }

  /**
   * Draw a sample of a large map at once and all of it when nothing has moved for a moment: while a page is laid out it
   * moves several times, and a million points take a software renderer a second each time. A small one is drawn whole.
   */
  moveDraft() {
    clearTimeout(this.#settling);
    if (this.layer && this.layer.draftStride > 1) this.#settling = window.setTimeout(() => this.redraw("full"), SETTLE);
    this.redraw("draft");
  }

  /** @param {Depth} depth */
  redraw(depth) {
    if (this.#stale !== "full") this.#stale = depth;
    this.schedule();
  }

  /** Draw what has changed. At most one frame is pending, however many events came since the last. */
  schedule() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  #draw() {
    if (!this.#points || !this.#theme || this.#isLost || !this.ratio) return;
    // The pointer and an outline change only what lies over the points.
    if (this.#stale || this.flagged !== this.#drawnFlagged) this.#drawPoints(this.#points, this.#theme);
    this.overlay.draw(this.marks(), this.#theme, this.ratio);
    this.names.draw(this.view);
  }

  /**
   * @param {Points} points
   * @param {Theme} theme
   */
  #drawPoints(points, theme) {
    const look = lookOf(theme, this.#colorBy, pointSize(points.drawn, this.view.zoom) * this.ratio);
    const { clip } = this.view;
    if (this.#stale) this.layer?.drawDensity(clip, look, this.#stale === "draft");
    this.layer?.drawFrame(clip, look, this.flagged);
    this.#stale = null;
    this.#drawnFlagged = this.flagged;
    this.drawn(look, theme);
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.root;
    if (!width || !height) return;
    this.ratio = Math.min(SHARPEST, window.devicePixelRatio || 1);
    for (const canvas of [this.surface, this.overlay.canvas]) {
      canvas.width = Math.round(width * this.ratio);
      canvas.height = Math.round(height * this.ratio);
    }
    this.view.width = width;
    this.view.height = height;
    this.moveDraft();
  }

  /** @param {Event} event */
  #loseContext(event) {
    event.preventDefault();
    this.#isLost = true;
  }

  #restoreContext() {
    this.#isLost = false;
    this.layer?.restore();
    this.redraw("full");
  }
}
