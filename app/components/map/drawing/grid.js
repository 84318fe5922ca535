// Which points lie near a place, without a look at all of them.

/** @import { Bounds, Place } from "./view.js" */

const PER_CELL = 4; // points in a cell of the grid, on average: the hover asks a few cells, not all points
const MOST_CELLS = 1024; // along a side

/** Points sorted by square cells of the plane (a counting sort). */
export class Grid {
  /**
   * @param {Float32Array} places
   * @param {Bounds} bounds
   */
  constructor(places, { left, right, bottom, top }) {
    const n = places.length / 3;
    this.side = Math.min(MOST_CELLS, Math.max(1, Math.ceil(Math.sqrt(n / PER_CELL))));
    this.left = left;
    this.bottom = bottom;
    this.cellX = (right - left) / this.side;
    this.cellY = (top - bottom) / this.side;
    const { side } = this;
    const cells = new Uint32Array(n);
    this.starts = new Uint32Array(side * side + 2);
    for (let point = 0; point < n; point++) {
      const x = Math.floor((places[3 * point] - left) / this.cellX);
      const y = Math.floor((places[3 * point + 1] - bottom) / this.cellY);
      // Points without a position are in a cell of their own at the end, which no question reaches.
      const isPlaced = x >= 0 && y >= 0;
      cells[point] = isPlaced ? Math.min(side - 1, y) * side + Math.min(side - 1, x) : side * side;
      this.starts[cells[point] + 1]++;
    }
    const fullest = this.starts.subarray(0, side * side + 1).reduce((most, size) => Math.max(most, size), 1);
    this.crowding = fullest / (this.cellX * this.cellY); // points per unit of area where they are densest
    for (let cell = 1; cell < this.starts.length; cell++) this.starts[cell] += this.starts[cell - 1];
    const next = this.starts.slice();
    this.members = new Uint32Array(n);
    for (let point = 0; point < n; point++) this.members[next[cells[point]]++] = point;
  }

  /**
   * Call `visit` with each point in the cells that a box touches.
   *
   * @param {Place} low
   * @param {Place} high
   * @param {(point: number) => void} visit
   */
  visit([lowX, lowY], [highX, highY], visit) {
    const column = (/** @type {number} */ x) => this.#clamp(Math.floor((x - this.left) / this.cellX));
    const row = (/** @type {number} */ y) => this.#clamp(Math.floor((y - this.bottom) / this.cellY));
    for (let cellY = row(lowY); cellY <= row(highY); cellY++) {
      const start = this.starts[cellY * this.side + column(lowX)];
      const end = this.starts[cellY * this.side + column(highX) + 1];
      for (let i = start; i < end; i++) visit(this.members[i]);
    }
  }

  /** @param {number} cell */
  #clamp(cell) {
    return Math.min(this.side - 1, Math.max(0, cell));
  }
}
