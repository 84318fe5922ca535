// The points as the server packed them (see points.py), most suspicious first, and the questions the map asks of them.

/** @import { Bounds, Place } from "./view.js" */

import { Grid } from "./grid.js";

const KEPT_MAPS = 3;
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

/**
 * All samples by rank, of which every `stride`-th is drawn: the map of a million has one point a sample, that of ten
 * million one of ten. Ranks are those of samples; the arrays have an entry for each point that is drawn.
 */
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
    /** @type {number} */
    this.stride = head.stride;
    this.drawn = this.pointsAmong(this.n);
    this.packed = new Uint8Array(buffer, start, 12 * this.drawn);
    this.places = new Float32Array(buffer, start, 3 * this.drawn);
    this.codes = new Uint16Array(buffer, start, 6 * this.drawn);
    this.scores = new Float32Array(buffer, start + 12 * this.drawn, this.drawn);
    this.bounds = boundsOf(this.places);
    this.grid = new Grid(this.places, this.bounds);
  }

  /**
   * How many points are drawn of the first so many samples.
   *
   * @param {number} samples
   */
  pointsAmong(samples) {
    return Math.ceil(samples / this.stride);
  }

  /**
   * The point that stands for a rank.
   *
   * @param {number} rank
   */
  pointOf(rank) {
    return Math.floor(rank / this.stride);
  }

  /**
   * @param {number} rank
   * @returns {Place}
   */
  place(rank) {
    const point = this.pointOf(rank);
    return [this.places[3 * point], this.places[3 * point + 1]];
  }

  /** @param {number} rank */
  score(rank) {
    return this.scores[this.pointOf(rank)];
  }

  /** @param {number} point */
  labelCode(point) {
    return this.codes[6 * point + 4];
  }

  /** @param {number} point */
  findingCode(point) {
    return this.codes[6 * point + 5] & 255;
  }

  /**
   * @param {number} rank
   * @returns {string | undefined}
   */
  label(rank) {
    return this.labels[this.labelCode(this.pointOf(rank))];
  }

  /**
   * @param {number} rank
   * @returns {string | undefined}
   */
  finding(rank) {
    return this.findings[this.findingCode(this.pointOf(rank))];
  }

  /**
   * What is said of each sample, for those that are drawn.
   *
   * @param {Uint8Array} samples
   */
  ofDrawn(samples) {
    if (this.stride === 1) return samples;
    const points = new Uint8Array(this.drawn);
    for (let point = 0; point < points.length; point++) points[point] = samples[point * this.stride];
    return points;
  }

  /**
   * The decided samples that are drawn.
   *
   * @param {Uint32Array} pairs of rank and code
   */
  decidedOf(pairs) {
    const decided = Array.from({ length: pairs.length >> 1 }, (_, i) => ({
      rank: pairs[2 * i],
      code: pairs[2 * i + 1],
    }));
    const drawn = decided.filter(({ rank }) => rank % this.stride === 0);
    return drawn.map(({ rank, code }) => ({ point: this.pointOf(rank), code }));
  }

  /**
   * How many scores are at least `score`, to within a stride.
   *
   * @param {number} score
   */
  countAbove(score) {
    let low = 0;
    let high = this.drawn;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.scores[middle] >= score) low = middle + 1;
      else high = middle;
    }
    return Math.min(this.n, low * this.stride);
  }

  /**
   * The rank of the point nearest to a place within an ellipse; -1 where there is none.
   *
   * @param {Place} place
   * @param {Place} radii
   */
  nearest([x, y], [radiusX, radiusY]) {
    let nearest = -1;
    let least = 1;
    this.grid.visit([x - radiusX, y - radiusY], [x + radiusX, y + radiusY], (point) => {
      const distance =
        ((this.places[3 * point] - x) / radiusX) ** 2 + ((this.places[3 * point + 1] - y) / radiusY) ** 2;
      if (distance > least || (distance === least && (nearest < 0 || point > nearest))) return;
      nearest = point;
      least = distance;
    });
    return nearest < 0 ? -1 : nearest * this.stride;
  }

  /**
   * The rank of the nearest point in a direction, sideways distance counted double; -1 where there is none.
   *
   * @param {number} start its rank
   * @param {Place} direction
   */
  towards(start, [dx, dy]) {
    const [x, y] = this.place(start);
    let nearest = -1;
    let least = Infinity;
    for (let point = 0; point < this.drawn; point++) {
      const offsetX = this.places[3 * point] - x;
      const offsetY = this.places[3 * point + 1] - y;
      const along = offsetX * dx + offsetY * dy;
      const across = Math.abs(offsetX * dy - offsetY * dx);
      if (!(along > 0) || across > along || along + 2 * across >= least) continue;
      nearest = point;
      least = along + 2 * across;
    }
    return nearest < 0 ? -1 : nearest * this.stride;
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

/**
 * A set of samples sent as one bit each, as 1 or 0 for each.
 *
 * @param {Uint8Array} bits
 * @param {number} n
 */
export function unpackBits(bits, n) {
  const selection = new Uint8Array(n);
  for (let rank = 0; rank < n; rank++) selection[rank] = (bits[rank >> 3] >> (rank & 7)) & 1;
  return selection;
}

/**
 * How many of a set lie among the first samples, as a function of their number; all where there is no set.
 *
 * @param {Uint8Array | null} selection 1 or 0 for each sample
 * @returns {(rank: number) => number}
 */
export function ranked(selection) {
  if (!selection) return (rank) => rank;
  const before = new Uint32Array(selection.length + 1);
  for (let rank = 0; rank < selection.length; rank++) before[rank + 1] = before[rank] + selection[rank];
  return (rank) => before[rank];
}
