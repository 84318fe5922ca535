// What part of a picture is shown.

/** The picture is drawn `scale` times as large, its corner `x` and `y` pixels from the frame's. */
/** @typedef {{ scale: number, x: number, y: number }} Zoom */
/** @typedef {readonly [number, number]} Pair x and y, or width and height, in pixels */

/** @type {Zoom} */
export const WHOLE = { scale: 1, x: 0, y: 0 };
const CLOSEST = 16;
const CONTRASTS = [1, 1.7, 2.8];

/**
 * Zoom so that what lies under a pixel stays there, and the frame stays filled.
 *
 * @param {Zoom} zoom
 * @param {Pair} pixel
 * @param {number} factor
 * @param {Pair} frame
 */
export function zoomAt(zoom, pixel, factor, frame) {
  const scale = Math.min(CLOSEST, Math.max(1, zoom.scale * factor));
  const ratio = scale / zoom.scale;
  const x = pixel[0] - (pixel[0] - zoom.x) * ratio;
  const y = pixel[1] - (pixel[1] - zoom.y) * ratio;
  return inFrame({ scale, x, y }, frame);
}

/**
 * @param {Zoom} zoom
 * @param {Pair} by
 * @param {Pair} frame
 */
export function moveBy({ scale, x, y }, by, frame) {
  return inFrame({ scale, x: x + by[0], y: y + by[1] }, frame);
}

/**
 * @param {Zoom} zoom
 * @param {Pair} frame
 * @returns {Zoom}
 */
function inFrame({ scale, x, y }, [width, height]) {
  const within = (/** @type {number} */ start, /** @type {number} */ size) =>
    Math.min(0, Math.max(size - size * scale, start));
  return { scale, x: within(x, width), y: within(y, height) };
}

/**
 * The next stronger contrast; after the strongest the picture's own.
 *
 * @param {number} contrast
 */
export function nextContrast(contrast) {
  return CONTRASTS[(CONTRASTS.indexOf(contrast) + 1) % CONTRASTS.length];
}
