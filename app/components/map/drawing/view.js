// What part of the map is shown: data coordinates, clip coordinates and CSS pixels.

/** @typedef {readonly [x: number, y: number]} Place */
/** @typedef {{ left: number, right: number, bottom: number, top: number }} Bounds */
/** @typedef {{ center: Place, scale: Place }} Clip */

const FARTHEST = 0.5; // all points fill half the plot
const NEAREST = 4000; // float32 positions still differ by less than a pixel
const STRETCH = 1.6; // a square map may fill a wide page better

export class View {
  width = 1;
  height = 1;
  zoom = 1;
  /** @type {Place} */
  center = [0.5, 0.5];
  /** @type {Bounds} */
  bounds = { left: 0, right: 1, bottom: 0, top: 1 };

  /** @param {() => void} changed */
  constructor(changed) {
    this.changed = changed;
  }

  /** @param {Bounds} bounds */
  setBounds(bounds) {
    this.bounds = bounds;
    this.zoom = 1;
    this.center = [(bounds.left + bounds.right) / 2, (bounds.bottom + bounds.top) / 2];
  }

  /** Pixels per unit in either direction. */
  get pixels() {
    const { left, right, bottom, top } = this.bounds;
    const x = this.width / (right - left);
    const y = this.height / (top - bottom);
    const most = Math.min(x, y) * STRETCH;
    return [Math.min(x, most) * this.zoom, Math.min(y, most) * this.zoom];
  }

  /** @returns {Clip} */
  get clip() {
    const [x, y] = this.pixels;
    return { center: this.center, scale: [(2 * x) / this.width, (2 * y) / this.height] };
  }

  /** @returns {Place} the middle of the plot in pixels */
  get middle() {
    return [this.width / 2, this.height / 2];
  }

  /**
   * @param {Place} pixel
   * @returns {Place}
   */
  toData([x, y]) {
    const [perX, perY] = this.pixels;
    return [this.center[0] + (x - this.width / 2) / perX, this.center[1] - (y - this.height / 2) / perY];
  }

  /**
   * @param {Place} place
   * @returns {Place}
   */
  toScreen([x, y]) {
    const [perX, perY] = this.pixels;
    return [this.width / 2 + (x - this.center[0]) * perX, this.height / 2 - (y - this.center[1]) * perY];
  }

  /** @param {Place} pixels */
  panBy([dx, dy]) {
    const [perX, perY] = this.pixels;
    this.center = [this.center[0] - dx / perX, this.center[1] + dy / perY];
    this.changed();
  }

  /**
   * Zoom so that what lies under a pixel stays there.
   *
   * @param {Place} pixel
   * @param {number} factor
   */
  zoomAt(pixel, factor) {
    const before = this.toData(pixel);
    this.zoom = Math.min(NEAREST, Math.max(FARTHEST, this.zoom * factor));
    const after = this.toData(pixel);
    this.center = [this.center[0] + before[0] - after[0], this.center[1] + before[1] - after[1]];
    this.changed();
  }

  fit() {
    this.setBounds(this.bounds);
    this.changed();
  }

  /**
   * Bring a place into view without changing the zoom.
   *
   * @param {Place} place
   */
  reveal(place) {
    const [x, y] = this.toScreen(place);
    if (x >= 0 && x <= this.width && y >= 0 && y <= this.height) return;
    this.center = place;
    this.changed();
  }
}
