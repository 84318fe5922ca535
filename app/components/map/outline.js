// The geometry of gestures: outlines of selections, and pinching.

/** @import { Place } from "./drawing/view.js" */

const MOST_CORNERS = 300;
const TOLERANCE = 1.5; // pixels that a simplified outline may lie beside the drawn one

/**
 * @param {Place} a
 * @param {Place} b
 */
export function distance(a, b) {
  return Math.hypot(a[0] - b[0], a[1] - b[1]);
}

/**
 * The corners of a box between two places. `margin` lets a box between two points include both.
 *
 * @param {Place} a
 * @param {Place} b
 * @param {number} margin
 * @returns {Place[]}
 */
export function boxCorners(a, b, margin = 0) {
  const left = Math.min(a[0], b[0]) - margin;
  const right = Math.max(a[0], b[0]) + margin;
  const top = Math.min(a[1], b[1]) - margin;
  const bottom = Math.max(a[1], b[1]) + margin;
  return [
    [left, top],
    [right, top],
    [right, bottom],
    [left, bottom],
  ];
}

/**
 * A path without the corners that lie closer than `tolerance` to the line of their neighbours (Douglas and Peucker).
 *
 * @param {Place[]} path
 * @param {number} tolerance
 */
export function simplify(path, tolerance) {
  if (path.length < 4) return path;
  const needed = new Set([0, path.length - 1]);
  /** @type {[number, number][]} */
  const spans = [[0, path.length - 1]];
  for (let span = spans.pop(); span; span = spans.pop()) {
    const corner = farthest(path, span, tolerance);
    if (corner < 0) continue;
    needed.add(corner);
    spans.push([span[0], corner], [corner, span[1]]);
  }
  return path.filter((_, i) => needed.has(i));
}

/**
 * The corner of a span that lies farthest from its chord; -1 where all lie closer than `tolerance`.
 *
 * @param {Place[]} path
 * @param {[start: number, end: number]} span
 * @param {number} tolerance
 */
function farthest(path, [start, end], tolerance) {
  const [x0, y0] = path[start];
  const dx = path[end][0] - x0;
  const dy = path[end][1] - y0;
  const length = Math.hypot(dx, dy);
  let corner = -1;
  let most = tolerance;
  for (let i = start + 1; i < end; i++) {
    const x = path[i][0] - x0;
    const y = path[i][1] - y0;
    const offset = length ? Math.abs(x * dy - y * dx) / length : Math.hypot(x, y);
    if (offset <= most) continue;
    corner = i;
    most = offset;
  }
  return corner;
}

/**
 * A path that was drawn, with few enough corners to send.
 *
 * @param {Place[]} path
 */
export function outlineOf(path) {
  let tolerance = TOLERANCE;
  let corners = simplify(path, tolerance);
  while (corners.length > MOST_CORNERS) {
    tolerance *= 1.5;
    corners = simplify(path, tolerance);
  }
  return corners;
}

/**
 * Zoom of a pinch: one finger moves, the other stays.
 *
 * @param {Place} before
 * @param {Place} after
 * @param {Place} other
 * @returns {{ center: Place, factor: number }}
 */
export function pinch(before, after, other) {
  const factor = distance(after, other) / Math.max(1, distance(before, other));
  return { center: [(after[0] + other[0]) / 2, (after[1] + other[1]) / 2], factor };
}
