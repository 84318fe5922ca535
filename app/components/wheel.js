// Zoom by the wheel.

const PIXEL = 0.0015; // zoom per pixel of the wheel: a notch of 100 is 16 %
const LINE = 0.05; // zoom per line, as some mice report

/**
 * Zoom of a turn of the wheel.
 *
 * @param {{ deltaY: number, deltaMode: number }} event
 */
export function wheelFactor({ deltaY, deltaMode }) {
  return Math.exp(-deltaY * (deltaMode ? LINE : PIXEL));
}
