// The points as the server packed them, most suspicious first, and the questions the map asks of them.

const cache = new Map();
const KEPT = 3;

// Kept across visits to other pages, so that coming back draws at once.
export function parsePoints(version, buffer) {
  const points = cache.get(version) ?? new Points(buffer);
  cache.delete(version);
  cache.set(version, points);
  if (cache.size > KEPT) cache.delete(cache.keys().next().value);
  return points;
}

export const cachedPoints = (version) => cache.get(version);

export class Points {
  constructor(buffer) {
    const size = new DataView(buffer).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
    const start = 4 + size;
    this.n = head.n;
    this.labels = head.labels;
    this.findings = head.findings;
    this.packed = new Uint8Array(buffer, start, 12 * this.n);
    this.places = new Float32Array(buffer, start, 3 * this.n);
    this.codes = new Uint16Array(buffer, start, 6 * this.n);
    this.scores = new Float32Array(buffer, start + 12 * this.n, this.n);
    this.bounds = this.#measure();
    this.#fillGrid();
  }

  x(rank) { return this.places[3 * rank]; }
  y(rank) { return this.places[3 * rank + 1]; }
  label(rank) { return this.labels[this.codes[6 * rank + 4]]; }
  finding(rank) { return this.findings[this.codes[6 * rank + 5] & 255]; }

  // How many scores are at least `score`.
  countAbove(score) {
    let low = 0, high = this.n;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.scores[middle] >= score) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  nearest(x, y, radiusX, radiusY) {
    const { left, bottom, cellX, cellY, side } = this.grid;
    const cell = (value, origin, step) => Math.min(side - 1, Math.max(0, Math.floor((value - origin) / step)));
    const [fromX, toX] = [cell(x - radiusX, left, cellX), cell(x + radiusX, left, cellX)];
    const [fromY, toY] = [cell(y - radiusY, bottom, cellY), cell(y + radiusY, bottom, cellY)];
    let best = -1, bestDistance = 1;
    for (let row = fromY; row <= toY; row++) {
      for (let i = this.starts[row * side + fromX]; i < this.starts[row * side + toX + 1]; i++) {
        const rank = this.members[i];
        const distance = ((this.x(rank) - x) / radiusX) ** 2 + ((this.y(rank) - y) / radiusY) ** 2;
        if (distance < bestDistance || (distance === bestDistance && rank < best)) [best, bestDistance] = [rank, distance];
      }
    }
    return best;
  }

  // The nearest point in a direction, sideways distance counted double; -1 where there is none.
  towards(from, dx, dy) {
    const x = this.x(from), y = this.y(from);
    let best = -1, bestCost = Infinity;
    for (let rank = 0; rank < this.n; rank++) {
      const along = (this.x(rank) - x) * dx + (this.y(rank) - y) * dy;
      const across = Math.abs((this.x(rank) - x) * dy - (this.y(rank) - y) * dx);
      if (!(along > 0) || across > along) continue;
      const cost = along + 2 * across;
      if (cost < bestCost) [best, bestCost] = [rank, cost];
    }
    return best;
  }

  #measure() {
    let left = Infinity, right = -Infinity, bottom = Infinity, top = -Infinity;
    for (let rank = 0; rank < this.n; rank++) {
      const x = this.x(rank), y = this.y(rank);
      if (x < left) left = x;
      if (x > right) right = x;
      if (y < bottom) bottom = y;
      if (y > top) top = y;
    }
    if (!(right >= left)) return { left: 0, right: 1, bottom: 0, top: 1 };
    const padX = (right - left) * 0.03 || 0.5, padY = (top - bottom) * 0.03 || 0.5;
    return { left: left - padX, right: right + padX, bottom: bottom - padY, top: top + padY };
  }

  // Counting sort into square cells, about four points each: the hover asks a few cells, not all points.
  #fillGrid() {
    const side = Math.min(1024, Math.max(1, Math.ceil(Math.sqrt(this.n / 4))));
    const { left, right, bottom, top } = this.bounds;
    const cellX = (right - left) / side, cellY = (top - bottom) / side;
    const cells = new Uint32Array(this.n);
    const starts = new Uint32Array(side * side + 2);
    for (let rank = 0; rank < this.n; rank++) {
      const x = Math.floor((this.x(rank) - left) / cellX), y = Math.floor((this.y(rank) - bottom) / cellY);
      // Points without a position are kept in a cell of their own at the end, which no question reaches.
      cells[rank] = x >= 0 && y >= 0 ? Math.min(side - 1, y) * side + Math.min(side - 1, x) : side * side;
      starts[cells[rank] + 1]++;
    }
    let fullest = 1;
    for (let cell = 1; cell < starts.length; cell++) {
      if (cell <= side * side) fullest = Math.max(fullest, starts[cell]);
      starts[cell] += starts[cell - 1];
    }
    const next = starts.slice();
    this.members = new Uint32Array(this.n);
    for (let rank = 0; rank < this.n; rank++) this.members[next[cells[rank]]++] = rank;
    this.starts = starts;
    this.grid = { left, bottom, cellX, cellY, side };
    this.crowding = fullest / (cellX * cellY);
  }
}
