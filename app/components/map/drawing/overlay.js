// What lies over the points: the outline of the selection, rings around the hovered point and the keyboard's focus.

/** @import { Color, Theme } from "../../theme.js" */
/** @import { Place } from "./view.js" */

import { css } from "../../theme.js";

const HOVERED = 7; // radii in CSS pixels
const FOCUSED = 9;

/**
 * What to draw, in CSS pixels.
 *
 * @typedef {{ path: Place[] | null, isOpen: boolean, hovered: Place | null, focused: Place | null }} Marks
 */

export class Overlay {
  #isEmpty = true;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
  }

  /**
   * @param {Marks} marks
   * @param {Theme} theme
   * @param {number} ratio device pixels per CSS pixel
   */
  draw({ path, isOpen, hovered, focused }, theme, ratio) {
    const isEmpty = !path && !hovered && !focused;
    // A frame of a drag mostly has nothing here, and a canvas that is not touched costs nothing.
    if (isEmpty && this.#isEmpty) return;
    this.#isEmpty = isEmpty;
    const context = this.canvas.getContext("2d");
    if (!context) return;
    // Chromium may go on showing the last frame when a canvas is only cleared; a new width always shows.
    this.canvas.width = Math.round(this.canvas.clientWidth * ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (path && path.length > 1) drawPath(context, path, isOpen, theme);
    if (hovered) drawRing(context, hovered, theme, HOVERED);
    if (focused) drawRing(context, focused, theme, FOCUSED);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Place[]} path
 * @param {boolean} isOpen still being drawn
 * @param {Theme} theme
 */
function drawPath(context, path, isOpen, theme) {
  context.beginPath();
  for (const [x, y] of path) context.lineTo(x, y);
  context.closePath();
  context.fillStyle = css(theme.text, 0.06);
  context.fill();
  context.lineWidth = 1.5;
  context.strokeStyle = css(theme.text, 0.8);
  context.setLineDash(isOpen ? [5, 4] : []);
  context.stroke();
  context.setLineDash([]);
}

/**
 * Two strokes, so that the ring shows on any ground.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {Place} center
 * @param {Theme} theme
 * @param {number} radius
 */
function drawRing(context, [x, y], theme, radius) {
  /** @type {[width: number, color: Color][]} */
  const strokes = [
    [4, theme.background],
    [2, theme.text],
  ];
  for (const [width, color] of strokes) {
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.lineWidth = width;
    context.strokeStyle = css(color);
    context.stroke();
  }
}
