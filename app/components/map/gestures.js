// Mouse, touch and keyboard on the map: move, zoom, point, pick, and outline a selection.

/** @import { Place, View } from "./drawing/view.js" */
/** @import { Focus } from "./focus.js" */
/** @import { MapCommand } from "./keys.js" */

import { wheelFactor } from "../wheel.js";
import { mapCommand } from "./keys.js";
import { boxCorners, distance, outlineOf, pinch } from "./outline.js";

/** @typedef {"pan" | "box" | "lasso"} Mode */

/**
 * What the gestures act on.
 *
 * @typedef {object} Target
 * @property {View} view
 * @property {Focus} focus
 * @property {() => void} redraw shows `path`
 * @property {(polygon: Place[] | null) => void} select takes a polygon of data coordinates; null = nothing is selected
 */

const SLACK = 4; // pixels that the pointer may move in a click; also between the corners of a lasso

export class Gestures {
  /** @type {Mode} */
  mode = "pan";
  /** @type {Place[] | null} the outline that is being drawn, in pixels */
  path = null;
  /** @type {Mode} */
  #shape = "pan";
  /** @type {Map<number, Place>} */
  #pointers = new Map();
  /** @type {Place} */
  #start = [0, 0];
  /** @type {Place} */
  #last = [0, 0];
  /** @type {Place[]} */
  #lasso = [];
  /** @type {Place | null} the first corner of a selection by keyboard */
  #corner = null;
  #isDrag = false;

  /**
   * @param {HTMLCanvasElement} surface
   * @param {Target} target
   */
  constructor(surface, target) {
    this.surface = surface;
    this.target = target;
    surface.addEventListener("pointerdown", (event) => this.#down(event));
    surface.addEventListener("pointermove", (event) => this.#move(event));
    surface.addEventListener("pointerup", (event) => this.#up(event));
    surface.addEventListener("pointercancel", (event) => this.#up(event));
    surface.addEventListener("pointerleave", () => this.#pointers.size === 0 && target.focus.hover(null));
    surface.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    surface.addEventListener("keydown", (event) => this.#press(event));
    surface.addEventListener("dblclick", (event) => target.view.zoomAt(this.#pixelOf(event), 2));
  }

  /**
   * @param {MouseEvent} event
   * @returns {Place}
   */
  #pixelOf(event) {
    const box = this.surface.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  /** @param {PointerEvent} event */
  #down(event) {
    if (event.button !== 0) return;
    const pixel = this.#pixelOf(event);
    this.surface.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, pixel);
    this.#start = pixel;
    this.#last = pixel;
    this.#lasso = [pixel];
    this.#isDrag = false;
    this.#shape = event.shiftKey ? "box" : this.mode;
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const pixel = this.#pixelOf(event);
    const before = this.#pointers.get(event.pointerId);
    if (!before) {
      this.target.focus.hover(pixel);
      return;
    }
    this.#pointers.set(event.pointerId, pixel);
    if (this.#pointers.size === 2) this.#pinch(before, pixel, event.pointerId);
    else this.#drag(pixel);
  }

  /** @param {Place} pixel */
  #drag(pixel) {
    this.#isDrag ||= distance(pixel, this.#start) > SLACK;
    if (!this.#isDrag) return;
    if (this.#shape === "pan") this.target.view.panBy([pixel[0] - this.#last[0], pixel[1] - this.#last[1]]);
    else this.#show(this.#outline(pixel));
    this.#last = pixel;
  }

  /**
   * The selection so far.
   *
   * @param {Place} pixel
   */
  #outline(pixel) {
    if (this.#shape === "box") return boxCorners(this.#start, pixel);
    const end = this.#lasso[this.#lasso.length - 1];
    if (distance(pixel, end) >= SLACK) this.#lasso.push(pixel);
    return this.#lasso;
  }

  /** @param {PointerEvent} event */
  #up(event) {
    if (!this.#pointers.delete(event.pointerId) || this.#pointers.size) return;
    const pixel = this.#pixelOf(event);
    if (!this.#isDrag) this.target.focus.pickAt(pixel);
    else if (this.#shape === "box") this.#select(boxCorners(this.#start, pixel));
    else if (this.#shape === "lasso") this.#select(this.#lasso);
  }

  /**
   * @param {Place} before
   * @param {Place} after
   * @param {number} id
   */
  #pinch(before, after, id) {
    const [other] = [...this.#pointers].filter(([key]) => key !== id).map(([, pixel]) => pixel);
    const { center, factor } = pinch(before, after, other);
    this.#isDrag = true;
    this.#shape = "pan";
    this.target.view.zoomAt(center, factor);
  }

  /**
   * The wheel scrolls the page until the map was clicked or Ctrl is held: a long page stays usable.
   *
   * @param {WheelEvent} event
   */
  #wheel(event) {
    const { activeElement } = /** @type {Document | ShadowRoot} */ (this.surface.getRootNode());
    if (!event.ctrlKey && !event.metaKey && activeElement !== this.surface) return;
    event.preventDefault();
    this.target.view.zoomAt(this.#pixelOf(event), wheelFactor(event));
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const command = mapCommand(event);
    if (!command) return;
    event.preventDefault();
    event.stopPropagation();
    this.#command(command);
  }

  /** @param {MapCommand} command */
  #command(command) {
    const { view, focus } = this.target;
    switch (command.name) {
      case "zoom":
        return view.zoomAt(view.middle, command.factor);
      case "pan":
        return view.panBy(command.by);
      case "towards":
        return focus.towards(command.by);
      case "step":
        return focus.step(command.by);
      case "fit":
        return view.fit();
      case "pick":
        return focus.pick();
      case "corner":
        return this.#markCorner();
      case "escape":
        return this.clear();
    }
  }

  /** Mark one corner of a box at the focused point, and at the next point the opposite one. */
  #markCorner() {
    const pixel = this.target.focus.pixel;
    if (!pixel) return;
    if (!this.#corner) {
      this.#corner = pixel;
      this.target.focus.announce("First corner of the selection. Move on and press Space for the opposite corner.");
      return;
    }
    this.#select(boxCorners(this.#corner, pixel, 1));
    this.#corner = null;
  }

  /** Select nothing, point at nothing. */
  clear() {
    this.#corner = null;
    this.#show(null);
    this.target.focus.clear();
    this.target.select(null);
  }

  /** @param {Place[]} path */
  #select(path) {
    const polygon = outlineOf(path).map((corner) => this.target.view.toData(corner));
    if (polygon.length >= 3) this.target.select(polygon);
    this.#show(null);
  }

  /** @param {Place[] | null} path */
  #show(path) {
    this.path = path;
    this.target.redraw();
  }
}
