// The histogram of the score with the threshold's handle. Dragging stays in the browser; `released` tells the server once.

/** @import { Theme } from "../theme.js" */
/** @import { Look } from "./drawing/look.js" */
/** @import { Points } from "./drawing/points.js" */

import { el } from "../dom.js";
import { count, number, share } from "../format.js";
import { css } from "../theme.js";
import { barHeight, barsOf, binScores, countAtPlace, thresholdPlace } from "./bins.js";
import { thresholdChange } from "./keys.js";

const WAIT = 300; // ms after the last key until the server is told
const LEAST = 1.5; // CSS pixels of a bar with a single sample

export class Histogram {
  isDragging = false;
  /** @type {Points | null} */
  #points = null;
  /** @type {ReturnType<typeof binScores>} */
  #bins = { low: 0, high: 1, finite: 0, above: [0, 0] };
  #flagged = 0;
  #waiting = 0;

  /**
   * @param {(flagged: number) => void} moved
   * @param {() => void} released
   */
  constructor(moved, released) {
    this.moved = moved;
    this.released = released;
    this.canvas = el("canvas", { "aria-hidden": "true" });
    this.handle = el("div", {
      class: "handle",
      role: "slider",
      tabindex: "0",
      "aria-label": "Threshold: how many samples are flagged",
      "aria-orientation": "horizontal",
      "aria-valuemin": "0",
      on: { keydown: (event) => this.#press(event) },
    });
    const title = "How many samples have which score; heights are logarithmic";
    this.root = el("div", { class: "histogram", title }, this.canvas, this.handle);
    this.root.addEventListener("pointerdown", (event) => this.#grab(event));
  }

  /** @param {Points} points */
  setPoints(points) {
    this.#points = points;
    this.#bins = binScores(points);
    this.handle.setAttribute("aria-valuemax", String(points.n));
    this.handle.hidden = points.n === 0;
  }

  /** @param {number} flagged */
  setCount(flagged) {
    if (!this.#points) return;
    this.#flagged = flagged;
    const { n, scores } = this.#points;
    const start = flagged ? `, scores from ${number(scores[flagged - 1])}` : "";
    // Rightwards on screen is upwards for the slider: fewer flagged.
    this.handle.setAttribute("aria-valuenow", String(n - flagged));
    this.handle.setAttribute(
      "aria-valuetext",
      `${count(flagged)} of ${count(n)} flagged, ${share(flagged, n)}${start}`,
    );
    this.handle.style.left = `${100 * thresholdPlace(this.#points, this.#bins, flagged)}%`;
  }

  /**
   * @param {Look} look
   * @param {Theme} theme
   */
  draw(look, theme) {
    const { clientWidth: width, clientHeight: height } = this.root;
    const context = this.canvas.getContext("2d");
    if (!width || !context) return;
    const ratio = window.devicePixelRatio || 1;
    fit(this.canvas, Math.round(width * ratio), Math.round(height * ratio));
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const bars = barsOf(this.#bins, this.#flagged);
    const tallest = Math.max(...bars.map((bar) => bar.all));
    const step = width / bars.length;
    bars.forEach(({ all, flagged }, i) => {
      if (!all) return;
      const tall = Math.max(LEAST, (height - 2) * barHeight(all, tallest));
      const top = (tall * flagged) / all;
      context.fillStyle = css(look.plain, theme.dark ? 0.55 : 0.5);
      context.fillRect(i * step, height - tall, Math.max(1, step - 1), tall - top);
      context.fillStyle = css(look.accent);
      context.fillRect(i * step, height - top, Math.max(1, step - 1), top);
    });
  }

  /** @param {PointerEvent} event */
  #grab(event) {
    if (event.button !== 0 || !this.#points?.n) return;
    event.preventDefault();
    this.handle.focus({ preventScroll: true });
    this.root.setPointerCapture(event.pointerId);
    this.isDragging = true;
    const move = (/** @type {PointerEvent} */ to) => this.#moveTo(to);
    const end = () => {
      this.root.removeEventListener("pointermove", move);
      this.root.removeEventListener("pointerup", end);
      this.root.removeEventListener("pointercancel", end);
      this.isDragging = false;
      this.released();
    };
    move(event);
    this.root.addEventListener("pointermove", move);
    this.root.addEventListener("pointerup", end);
    this.root.addEventListener("pointercancel", end);
  }

  /** @param {PointerEvent} event */
  #moveTo(event) {
    if (!this.#points) return;
    const { left, width } = this.root.getBoundingClientRect();
    this.moved(countAtPlace(this.#points, this.#bins, (event.clientX - left) / width));
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const n = this.#points?.n ?? 0;
    const change = thresholdChange(event, n);
    if (change === null) return;
    event.preventDefault();
    event.stopPropagation();
    this.moved(Math.min(n, Math.max(0, this.#flagged + change)));
    clearTimeout(this.#waiting);
    this.#waiting = window.setTimeout(() => this.released(), WAIT);
  }
}

/**
 * Setting a canvas' size clears it, so only where it differs.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {number} width
 * @param {number} height
 */
function fit(canvas, width, height) {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}
