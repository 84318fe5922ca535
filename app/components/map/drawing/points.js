// The points as the server packed them (see points.py), most suspicious first, and the questions the map asks of them.

/** @import { Bounds, Place } from "./view.js" */

const KEPT_MAPS = 3;
const PER_CELL = 4; // points in a cell of the grid, on average: the hover asks a few cells, not all points
const MOST_CELLS = 1024; // along a side
const PADDING = 0.03; // of the extent, on every side

/** @type {Map<string, Points>} */
const maps = new Map();

/**
 * The points of a version, kept across visits to other pages, so that coming back draws at once.
 *
 * @param {string} version
 * @param {ArrayBuffer} buffer
 */
export function parsePoints(version, buffer) {
  const points = maps.get(version) ?? new Points(buffer);
  maps.delete(version);
  maps.set(version, points);
  if (maps.size > KEPT_MAPS) maps.delete([...maps.keys()][0]);
  return points;
}

/** @param {string} version */
export const cachedPoints = (version) => maps.get(version);

export class Points {
  /** @param {ArrayBuffer} buffer */
  constructor(buffer) {
    const size = new DataView(buffer).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
    const start = 4 + size;
    /** @type {number} */
    this.n = head.n;
    /** @type {string[]} */
    this.labels = head.labels;
    /** @type {string[]} */
    this.findings = head.findings;
    this.packed = new Uint8Array(buffer, start, 12 * this.n);
    this.places = new Float32Array(buffer, start, 3 * this.n);
    this.codes = new Uint16Array(buffer, start, 6 * this.n);
    this.scores = new Float32Array(buffer, start + 12 * this.n, this.n);
    this.bounds = boundsOf(this.places);
    this.grid = new Grid(this.places, this.bounds);
  }

  /**
   * @param {number} rank
   * @returns {Place}
   */
  place(rank) {
    return [this.places[3 * rank], this.places[3 * rank + 1]];
  }

  /** @param {number} rank */
  labelCode(rank) {
    return this.codes[6 * rank + 4];
  }

  /** @param {number} rank */
  findingCode(rank) {
    return this.codes[6 * rank + 5] & 255;
  }

  /**
   * @param {number} rank
   * @returns {string | undefined}
   */
  label(rank) {
    return this.labels[this.labelCode(rank)];
  }

  /**
   * @param {number} rank
   * @returns {string | undefined}
   */
  finding(rank) {
    return this.findings[this.findingCode(rank)];
  }

  /**
   * How many scores are at least `score`.
   *
   * @param {number} score
   */
  countAbove(score) {
    let low = 0;
    let high = this.n;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.scores[middle] >= score) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * The point nearest to a place within an ellipse; -1 where there is none.
   *
   * @param {Place} place
   * @param {Place} radii
   */
  nearest([x, y], [radiusX, radiusY]) {
    let nearest = -1;
    let least = 1;
    this.grid.visit([x - radiusX, y - radiusY], [x + radiusX, y + radiusY], (rank) => {
      const distance = ((this.places[3 * rank] - x) / radiusX) ** 2 + ((this.places[3 * rank + 1] - y) / radiusY) ** 2;
      if (distance > least || (distance === least && (nearest < 0 || rank > nearest))) return;
      nearest = rank;
      least = distance;
    });
    return nearest;
  }

  /**
   * The nearest point in a direction, sideways distance counted double; -1 where there is none.
   *
   * @param {number} start its rank
   * @param {Place} direction
   */
  towards(start, [dx, dy]) {
    const [x, y] = this.place(start);
    let nearest = -1;
    let least = Infinity;
    for (let rank = 0; rank < this.n; rank++) {
      const offsetX = this.places[3 * rank] - x;
      const offsetY = this.places[3 * rank + 1] - y;
      const along = offsetX * dx + offsetY * dy;
      const across = Math.abs(offsetX * dy - offsetY * dx);
      if (!(along > 0) || across > along || along + 2 * across >= least) continue;
      nearest = rank;
      least = along + 2 * across;
    }
    return nearest;
  }
}

/**
 * The extent of all positions, with a margin; the unit square where there are none.
 *
 * @param {Float32Array} places three numbers a point, the first two x and y
 * @returns {Bounds}
 */
export function boundsOf(places) {
  let left = Infinity;
  let right = -Infinity;
  let bottom = Infinity;
  let top = -Infinity;
  for (let i = 0; i < places.length; i += 3) {
    const x = places[i];
    const y = places[i + 1];
    if (x < left) left = x;
    if (x > right) right = x;
    if (y < bottom) bottom = y;
    if (y > top) top = y;
  }
  if (!(right >= left && top >= bottom)) return { left: 0, right: 1, bottom: 0, top: 1 };
  const padX = (right - left) * PADDING || 0.5;
  const padY = (top - bottom) * PADDING || 0.5;
  return { left: left - padX, right: right + padX, bottom: bottom - padY, top: top + padY };
}

/** Ranks sorted by square cells of the plane (a counting sort). */
class Grid {
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
    for (let rank = 0; rank < n; rank++) {
      const x = Math.floor((places[3 * rank] - left) / this.cellX);
      const y = Math.floor((places[3 * rank + 1] - bottom) / this.cellY);
      // Points without a position are in a cell of their own at the end, which no question reaches.
      const isPlaced = x >= 0 && y >= 0;
      cells[rank] = isPlaced ? Math.min(side - 1, y) * side + Math.min(side - 1, x) : side * side;
      this.starts[cells[rank] + 1]++;
    }
    const fullest = this.starts.subarray(0, side * side + 1).reduce((most, size) => Math.max(most, size), 1);
    this.crowding = fullest / (this.cellX * this.cellY); // points per unit of area where they are densest
    for (let cell = 1; cell < this.starts.length; cell++) this.starts[cell] += this.starts[cell - 1];
    const next = this.starts.slice();
    this.members = new Uint32Array(n);
    for (let rank = 0; rank < n; rank++) this.members[next[cells[rank]]++] = rank;
  }

  /**
   * Call `visit` with the rank of each point in the cells that a box touches.
   *
   * @param {Place} low
   * @param {Place} high
   * @param {(rank: number) => void} visit
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

/**
 * A set of points sent as one bit each, as 1 or 0 for each.
 *
 * @param {Uint8Array} bits
 * @param {number} n
 */
export function unpackBits(bits, n) {
  return Uint8Array.from({ length: n }, (_, rank) => (bits[rank >> 3] >> (rank & 7)) & 1);
}

/**
 * How many of a set lie among the first points, as a function of their number; all points where there is no set.
 *
 * @param {Uint8Array | null} selection 1 or 0 for each point
 * @returns {(rank: number) => number}
 */
export function ranked(selection) {
  if (!selection) return (rank) => rank;
  const before = new Uint32Array(selection.length + 1);
  for (let rank = 0; rank < selection.length; rank++) before[rank + 1] = before[rank] + selection[rank];
  return (rank) => before[rank];
}
