// What part of the map is shown: data coordinates, clip coordinates and CSS pixels.

const FARTHEST = 0.5;
const NEAREST = 4000;
const STRETCH = 1.6;

export class View {
  constructor(changed) {
    this.changed = changed;
    this.width = this.height = 1;
    this.bounds = { left: 0, right: 1, bottom: 0, top: 1 };
    this.zoom = 1;
    this.center = [0.5, 0.5];
  }

  setBounds(bounds) {
    this.bounds = bounds;
    this.zoom = 1;
    this.center = [(bounds.left + bounds.right) / 2, (bounds.bottom + bounds.top) / 2];
  }

  // Pixels per unit. The wider direction may be stretched a little, so that a square map fills a wide page better.
  get pixels() {
    const { left, right, bottom, top } = this.bounds;
    const [x, y] = [this.width / (right - left), this.height / (top - bottom)];
    const both = Math.min(x, y);
    return [Math.min(x, both * STRETCH) * this.zoom, Math.min(y, both * STRETCH) * this.zoom];
  }

  get clip() {
    const [x, y] = this.pixels;
    return { center: this.center, scale: [(2 * x) / this.width, (2 * y) / this.height] };
  }

  toData([x, y]) {
    const [perX, perY] = this.pixels;
    return [this.center[0] + (x - this.width / 2) / perX, this.center[1] - (y - this.height / 2) / perY];
  }

  toScreen([x, y]) {
    const [perX, perY] = this.pixels;
    return [this.width / 2 + (x - this.center[0]) * perX, this.height / 2 - (y - this.center[1]) * perY];
  }

  panBy(dx, dy) {
    const [perX, perY] = this.pixels;
    this.center = [this.center[0] - dx / perX, this.center[1] + dy / perY];
    this.changed();
  }

  zoomAt(x, y, factor) {
    const held = this.toData([x, y]);
    this.zoom = Math.min(NEAREST, Math.max(FARTHEST, this.zoom * factor));
    const now = this.toData([x, y]);
    this.center = [this.center[0] + held[0] - now[0], this.center[1] + held[1] - now[1]];
    this.changed();
  }

  fit() {
    this.setBounds(this.bounds);
    this.changed();
  }

  // Bring a place into view without changing the zoom.
  reveal(place) {
    const [x, y] = this.toScreen(place);
    if (x >= 0 && x <= this.width && y >= 0 && y <= this.height) return;
    this.center = place;
    this.changed();
  }
}
