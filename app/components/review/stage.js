// The sample under review, as large as there is room. Pictures are smoothed, zoomed and raised in contrast.

/** @import { Sample } from "../sample.js" */
/** @import { Pair } from "./zoom.js" */

import { button, el } from "../dom.js";
import { nextLayer } from "../preview/masks.js";
import { samplePreview } from "../sample_preview.js";
import { wheelFactor } from "../wheel.js";
import { changes } from "./editing/changes.js";
import { moveBy, nextContrast, WHOLE, zoomAt } from "./zoom.js";

const STEP = 1.5; // zoom of a key or button
const CLOSE = 3; // zoom of a double click

export class Stage {
  #zoom = WHOLE;
  #contrast = 1;
  /** @type {HTMLElement | null} */
  #picture = null;

  constructor() {
    this.root = el("div", { class: "stage" });
  }

  /** @param {string} text that stands where there is no sample */
  say(text) {
    this.#picture = null;
    this.root.replaceChildren(el("p", { class: "empty" }, text));
  }

  /**
   * Show a sample; its picture whole, in the contrast of the last.
   *
   * @param {Sample} sample
   * @param {boolean} withOverlay
   */
  show(sample, withOverlay) {
    this.root.replaceChildren(...samplePreview(withOverlay ? sample : { ...sample, overlay: null }));
    if (sample.edit?.length) this.root.append(changes(sample.responses ?? [], sample.edit));
    this.root.scrollTop = 0;
    this.#zoom = WHOLE;
    this.#picture = this.root.querySelector(".picture");
    if (this.#picture) this.#prepare(this.#picture);
  }

  /** @param {number} factor */
  zoom(factor) {
    const [width, height] = this.#frame;
    this.#zoomAt([width / 2, height / 2], factor);
  }

  /** Whether there was another layer to lay over the picture. */
  nextLayer() {
    return nextLayer(this.root);
  }

  raiseContrast() {
    this.#contrast = nextContrast(this.#contrast);
    this.#draw();
  }

  /** @param {HTMLElement} picture */
  #prepare(picture) {
    const image = picture.querySelector("img");
    // A frame of the picture's own shape: the overlay lies on it exactly.
    const fit = () =>
      image && picture.style.setProperty("--aspect", `${image.naturalWidth / image.naturalHeight || 1}`);
    image?.addEventListener("load", fit);
    fit();
    picture.addEventListener("wheel", (event) => this.#turn(event), { passive: false });
    picture.addEventListener("dblclick", (event) => this.#toggle(event));
    picture.addEventListener("pointerdown", (event) => this.#grab(event));
    this.root.append(
      el(
        "div",
        { class: "tools", role: "toolbar", "aria-label": "Picture" },
        button("−", "Zoom out (-)", () => this.zoom(1 / STEP)),
        button("+", "Zoom in (+)", () => this.zoom(STEP)),
        button("Contrast", "Raise the contrast (c)", () => this.raiseContrast()),
      ),
    );
    this.#draw();
  }

  /** @returns {Pair} width and height of the picture's frame */
  get #frame() {
    return [this.#picture?.clientWidth ?? 0, this.#picture?.clientHeight ?? 0];
  }

  /**
   * @param {Pair} pixel
   * @param {number} factor
   */
  #zoomAt(pixel, factor) {
    this.#zoom = zoomAt(this.#zoom, pixel, factor, this.#frame);
    this.#draw();
  }

  /**
   * The wheel scrolls the page on where the picture is whole already.
   *
   * @param {WheelEvent} event
   */
  #turn(event) {
    const factor = wheelFactor(event);
    if (factor < 1 && this.#zoom.scale === 1) return;
    event.preventDefault();
    this.#zoomAt(this.#pixelOf(event), factor);
  }

  /** @param {MouseEvent} event */
  #toggle(event) {
    this.#zoomAt(this.#pixelOf(event), this.#zoom.scale > 1 ? 1 / this.#zoom.scale : CLOSE);
  }

  /** @param {PointerEvent} event */
  #grab(event) {
    const picture = this.#picture;
    if (!picture || event.button !== 0 || this.#zoom.scale === 1) return;
    event.preventDefault();
    picture.setPointerCapture(event.pointerId);
    const move = (/** @type {PointerEvent} */ to) => {
      this.#zoom = moveBy(this.#zoom, [to.movementX, to.movementY], this.#frame);
      this.#draw();
    };
    picture.addEventListener("pointermove", move);
    picture.addEventListener("lostpointercapture", () => picture.removeEventListener("pointermove", move), {
      once: true,
    });
  }

  /**
   * @param {MouseEvent} event
   * @returns {Pair}
   */
  #pixelOf(event) {
    const box = this.#picture?.getBoundingClientRect();
    return [event.clientX - (box?.left ?? 0), event.clientY - (box?.top ?? 0)];
  }

  #draw() {
    if (!this.#picture) return;
    const { scale, x, y } = this.#zoom;
    const { style } = this.#picture;
    style.setProperty("--zoom", String(scale));
    style.setProperty("--x", `${x}px`);
    style.setProperty("--y", `${y}px`);
    style.setProperty("--contrast", String(this.#contrast));
    this.#picture.classList.toggle("zoomed", scale > 1);
  }
}
