// The histogram of the score with the threshold's handle. Dragging stays in the browser; `released` tells the server once.

import { count, css, el, number, share } from "../common.js";

const BINS = 120;
const WAIT = 300;

export class Histogram {
  constructor(moved, released) {
    this.moved = moved;
    this.released = released;
    this.canvas = el("canvas", { "aria-hidden": "true" });
    this.handle = el("div", {
      class: "handle", role: "slider", tabindex: "0", "aria-label": "Threshold: how many samples are flagged",
      "aria-orientation": "horizontal", "aria-valuemin": "0", on: { keydown: (event) => this.#press(event) },
    });
    this.root = el("div", { class: "histogram", title: "How many samples have which score; heights are logarithmic" },
      this.canvas, this.handle);
    this.root.addEventListener("pointerdown", (event) => this.#grab(event));
  }

  setPoints(points) {
    this.points = points;
    const { scores, n } = points;
    this.finite = points.countAbove(-Number.MAX_VALUE);
    const at = (part) => scores[Math.min(this.finite - 1, Math.max(0, Math.floor(part * this.finite)))];
    // A few extreme scores share the outermost bins, else they alone would set the scale.
    const [low, high] = this.finite ? [at(0.999), Math.min(at(0.0005), Number.MAX_VALUE)] : [0, 1];
    [this.low, this.high] = high > low ? [low, high] : [low - 0.5, low + 0.5];
    this.edges = Array.from({ length: BINS + 1 }, (_, i) => this.low + ((this.high - this.low) * i) / BINS);
    const above = this.edges.map((edge, i) => (i === 0 ? this.finite : i === BINS ? 0 : points.countAbove(edge)));
    this.above = above;
    this.tallest = Math.max(1, ...above.slice(1).map((value, i) => above[i] - value));
    this.handle.setAttribute("aria-valuemax", String(n));
    this.handle.hidden = n === 0;
  }

  setCount(flagged) {
    this.count = flagged;
    const { n, scores } = this.points;
    const score = flagged > 0 ? scores[flagged - 1] : Infinity;
    // Rightwards on screen is upwards for the slider: fewer flagged.
    this.handle.setAttribute("aria-valuenow", String(n - flagged));
    const from = flagged ? `, scores from ${number(score)}` : "";
    this.handle.setAttribute("aria-valuetext", `${count(flagged)} of ${count(n)} flagged, ${share(flagged, n)}${from}`);
    const place = flagged === 0 ? 1 : Math.min(1, Math.max(0, (score - this.low) / (this.high - this.low)));
    this.handle.style.left = `${100 * place}%`;
  }

  draw(look, theme) {
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.root;
    if (!width || !this.points) return;
    if (this.canvas.width !== Math.round(width * ratio)) this.canvas.width = Math.round(width * ratio);
    if (this.canvas.height !== Math.round(height * ratio)) this.canvas.height = Math.round(height * ratio);
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const step = width / BINS;
    for (let bin = 0; bin < BINS; bin++) {
      const all = this.above[bin] - this.above[bin + 1];
      if (!all) continue;
      // The logarithm keeps thin tails visible: the flagged are few beside the rest.
      const tall = Math.max(1.5, ((height - 2) * Math.log1p(all)) / Math.log1p(this.tallest));
      const flagged = Math.min(all, Math.max(0, this.count - this.above[bin + 1]));
      const top = (tall * flagged) / all;
      context.fillStyle = css(look.plain, theme.dark ? 0.55 : 0.5);
      context.fillRect(bin * step, height - tall, Math.max(1, step - 1), tall - top);
      context.fillStyle = css(look.accent);
      context.fillRect(bin * step, height - top, Math.max(1, step - 1), top);
    }
  }

  #grab(event) {
    if (event.button !== 0 || !this.points?.n) return;
    event.preventDefault();
    this.handle.focus({ preventScroll: true });
    this.root.setPointerCapture(event.pointerId);
    this.dragging = true;
    const move = (to) => {
      const { left, width } = this.root.getBoundingClientRect();
      const place = (to.clientX - left) / width;
      if (place >= 1) return this.moved(0);
      this.moved(place <= 0 ? this.finite : this.points.countAbove(this.low + place * (this.high - this.low)));
    };
    const end = () => {
      this.root.removeEventListener("pointermove", move);
      this.dragging = false;
      this.released();
    };
    move(event);
    this.root.addEventListener("pointermove", move);
    for (const name of ["pointerup", "pointercancel"]) this.root.addEventListener(name, end, { once: true });
  }

  #press(event) {
    const { n } = this.points;
    const step = event.shiftKey ? 1 : Math.max(1, Math.round(n / 1000));
    const page = Math.max(1, Math.round(n / 100));
    const change = {
      ArrowRight: -step, ArrowUp: -step, ArrowLeft: step, ArrowDown: step,
      PageUp: -page, PageDown: page, Home: n, End: -n,
    }[event.key];
    if (change === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    this.moved(Math.min(n, Math.max(0, this.count + change)));
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.released(), WAIT);
  }
}
