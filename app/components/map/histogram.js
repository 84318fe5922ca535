// The histogram of the score with the threshold's handle. Dragging stays in the browser; `released` tells the server once.

/** @import { Theme } from "../theme.js" */
/** @import { Look } from "./drawing/look.js" */
/** @import { Bar, Chances, Tick } from "./bins.js" */
/** @import { Points } from "./drawing/points.js" */

import { el } from "../dom.js";
import { count, likelyWrong, share } from "../format.js";
import { css } from "../theme.js";
import {
  barHeight,
  barsOf,
  binScores,
  chanceAt,
  countAtPlace,
  sampleTicks,
  scoreTicks,
  thresholdPlace,
} from "./bins.js";
import { ranked } from "./drawing/points.js";
import { thresholdChange } from "./keys.js";

const WAIT = 300; // ms after the last key until the server is told
const LEAST = 1.5; // CSS pixels of a bar with a single sample
const FILTERED = 0.18; // opacity of what a filter leaves out

export class Histogram {
  isDragging = false;
  /** @type {Points | null} */
  #points = null;
  /** @type {ReturnType<typeof binScores>} */
  #bins = { low: 0, high: 1, finite: 0, above: [0, 0] };
  /** How many that pass the filter are among the first so many. */
  inside = ranked(null);
  #isFiltered = false;
  /** @type {Chances | null} */
  #chances = null;
  #tallest = 1;
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
    this.plot = el("div", { class: "histogram" }, this.canvas, this.handle);
    this.plot.addEventListener("pointerdown", (event) => this.#grab(event));
    this.samples = el("div", { class: "samples", "aria-hidden": "true" });
    this.scores = el("div", { class: "scores", "aria-hidden": "true" });
    this.name = el("div", { class: "axis" });
    this.root = el("div", { class: "by-score" }, this.samples, this.plot, this.scores, this.name);
  }

  /**
   * @param {Points} points
   * @param {string} axis what scores mean along it
   * @param {Chances | null} chances
   */
  setPoints(points, axis, chances) {
    this.#points = points;
    this.#bins = binScores(points);
    this.#tallest = Math.max(...barsOf(this.#bins, 0).map((bar) => bar.all));
    this.setChances(axis, chances);
    this.samples.replaceChildren(...sampleTicks(this.#tallest).map((tick) => tickLabel(tick, "bottom")));
    this.handle.setAttribute("aria-valuemax", String(points.n));
    this.handle.hidden = points.n === 0;
  }

  /**
   * Say what the axis means.
   *
   * @param {string} axis what scores mean along it
   * @param {Chances | null} chances
   */
  setChances(axis, chances) {
    if (!this.#points) return;
    this.#chances = chances;
    this.name.textContent = `${axis} · height: number of samples, logarithmic`;
    const ticks = scoreTicks(this.#points, this.#bins, chances);
    this.scores.replaceChildren(...ticks.map((tick) => tickLabel(tick, "left")));
  }

  /**
   * Show those of a filter over all.
   *
   * @param {Uint8Array | null} selection 1 or 0 for each point
   */
  setSelection(selection) {
    this.#isFiltered = selection !== null;
    this.inside = ranked(selection);
  }

  /** @param {number} flagged */
  setCount(flagged) {
    if (!this.#points) return;
    this.#flagged = flagged;
    const { n } = this.#points;
    const chance = flagged ? chanceAt(this.#chances, flagged - 1) : undefined;
    const start = chance === undefined ? "" : `, the last one ${likelyWrong(chance)}`;
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
    const { clientWidth: width, clientHeight: height } = this.plot;
    const context = this.canvas.getContext("2d");
    if (!width || !context) return;
    const ratio = window.devicePixelRatio || 1;
    fit(this.canvas, Math.round(width * ratio), Math.round(height * ratio));
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const plain = css(look.plain, theme.dark ? 0.55 : 0.5);
    const accent = css(look.accent);
    const bars = barsOf(this.#bins, this.#flagged);
    if (!this.#isFiltered) {
      this.#drawBars(context, bars, plain, accent);
      return;
    }
    const ground = css(look.plain, FILTERED);
    this.#drawBars(context, bars, ground, ground);
    this.#drawBars(context, barsOf(this.#bins, this.#flagged, this.inside), plain, accent);
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {Bar[]} bars
   * @param {string} plain
   * @param {string} accent
   */
  #drawBars(context, bars, plain, accent) {
    const { clientWidth: width, clientHeight: height } = this.plot;
    const step = width / bars.length;
    bars.forEach(({ all, flagged }, i) => {
      if (!all) return;
      const tall = Math.max(LEAST, height * barHeight(all, this.#tallest));
      const top = (tall * flagged) / all;
      context.fillStyle = plain;
      context.fillRect(i * step, height - tall, Math.max(1, step - 1), tall - top);
      context.fillStyle = accent;
      context.fillRect(i * step, height - top, Math.max(1, step - 1), top);
    });
  }

  /** @param {PointerEvent} event */
  #grab(event) {
    if (event.button !== 0 || !this.#points?.n) return;
    event.preventDefault();
    this.handle.focus({ preventScroll: true });
    this.plot.setPointerCapture(event.pointerId);
    this.isDragging = true;
    const move = (/** @type {PointerEvent} */ to) => this.#moveTo(to);
    const end = () => {
      this.plot.removeEventListener("pointermove", move);
      this.plot.removeEventListener("pointerup", end);
      this.plot.removeEventListener("pointercancel", end);
      this.isDragging = false;
      this.released();
    };
    move(event);
    this.plot.addEventListener("pointermove", move);
    this.plot.addEventListener("pointerup", end);
    this.plot.addEventListener("pointercancel", end);
  }

  /** @param {PointerEvent} event */
  #moveTo(event) {
    if (!this.#points) return;
    const { left, width } = this.plot.getBoundingClientRect();
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
 * @param {Tick} tick
 * @param {"left" | "bottom"} side
 */
function tickLabel({ place, text }, side) {
  return el("span", { style: `${side}:${(100 * place).toFixed(2)}%` }, text);
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
