// Mouse, touch and keyboard on the map: move, zoom, point, pick, and outline a selection.

const CLOSE = 4;
const HOVER_RADIUS = 14;

// `map` offers: view (toData, panBy, zoomAt, fit), hover, pick, select, focusPoint, step, towards, outline, drawOverlay.
export class Gestures {
  constructor(surface, map) {
    this.surface = surface;
    this.map = map;
    this.mode = "pan";
    this.pointers = new Map();
    const listen = (name, listener, options) => surface.addEventListener(name, listener.bind(this), options);
    listen("pointerdown", this.#down);
    listen("pointermove", this.#move);
    listen("pointerup", this.#up);
    listen("pointercancel", this.#up);
    listen("pointerleave", () => this.pointers.size === 0 && map.hover(null));
    listen("wheel", this.#wheel, { passive: false });
    listen("keydown", this.#press);
    listen("dblclick", (event) => map.view.zoomAt(...this.#at(event), 2));
  }

  #at(event) {
    const box = this.surface.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  #down(event) {
    if (event.button !== 0) return;
    this.surface.setPointerCapture(event.pointerId);
    const at = this.#at(event);
    this.pointers.set(event.pointerId, at);
    this.start = this.last = at;
    this.path = [at];
    this.moved = false;
    this.shape = event.shiftKey ? "box" : this.mode;
  }

  #move(event) {
    const at = this.#at(event);
    if (!this.pointers.has(event.pointerId)) return this.map.hover(at, HOVER_RADIUS);
    const before = this.pointers.get(event.pointerId);
    this.pointers.set(event.pointerId, at);
    if (this.pointers.size === 2) return this.#pinch(before, at, event.pointerId);
    if (Math.hypot(at[0] - this.start[0], at[1] - this.start[1]) > CLOSE) this.moved = true;
    if (!this.moved) return;
    if (this.shape === "pan") this.map.view.panBy(at[0] - this.last[0], at[1] - this.last[1]);
    else if (this.shape === "box") this.map.outline(this.#corners(this.start, at));
    else {
      const end = this.path[this.path.length - 1];
      if (Math.hypot(at[0] - end[0], at[1] - end[1]) >= CLOSE) this.path.push(at);
      this.map.outline(this.path);
    }
    this.last = at;
  }

  #up(event) {
    if (!this.pointers.delete(event.pointerId) || this.pointers.size) return;
    if (!this.moved) return this.map.pickAt(this.#at(event), HOVER_RADIUS);
    if (this.shape === "box") this.map.select(this.#corners(this.start, this.#at(event)));
    else if (this.shape === "lasso") this.map.select(this.path);
  }

  #pinch(before, at, id) {
    const [, other] = [...this.pointers].find(([key]) => key !== id);
    const ratio = Math.hypot(at[0] - other[0], at[1] - other[1]) / Math.max(1, Math.hypot(before[0] - other[0], before[1] - other[1]));
    this.moved = true;
    this.shape = "pan";
    this.map.view.zoomAt((at[0] + other[0]) / 2, (at[1] + other[1]) / 2, ratio);
  }

  // The wheel scrolls the page until the map was clicked or Ctrl is held: a long page stays usable.
  #wheel(event) {
    if (!event.ctrlKey && !event.metaKey && this.surface.getRootNode().activeElement !== this.surface) return;
    event.preventDefault();
    this.map.view.zoomAt(...this.#at(event), Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)));
  }

  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { map } = this;
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const middle = [this.surface.clientWidth / 2, this.surface.clientHeight / 2];
    const actions = {
      "+": () => map.view.zoomAt(...middle, 1.5),
      "=": () => map.view.zoomAt(...middle, 1.5),
      "-": () => map.view.zoomAt(...middle, 1 / 1.5),
      0: () => map.view.fit(),
      n: () => map.step(1),
      p: () => map.step(-1),
      Enter: () => map.pickFocused(),
      " ": () => this.#corner(),
      Escape: () => map.escape(),
    };
    if (arrows[event.key] && event.shiftKey) map.view.panBy(...arrows[event.key].map((part, i) => part * (i ? 60 : -60)));
    else if (arrows[event.key]) map.towards(...arrows[event.key]);
    else if (actions[event.key]) actions[event.key]();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // Space marks one corner of a box at the focused point, and at the next point the opposite one.
  #corner() {
    const at = this.map.focusedPlace();
    if (!at) return;
    if (!this.first) {
      this.first = at;
      this.map.announce("First corner of the selection. Move on and press Space for the opposite corner.");
      return;
    }
    this.map.select(this.#corners(this.first, at, 1));
    this.first = null;
  }

  // `margin` lets a box between two points include both.
  #corners([x0, y0], [x1, y1], margin = 0) {
    const [left, right, top, bottom] = [Math.min(x0, x1) - margin, Math.max(x0, x1) + margin, Math.min(y0, y1) - margin, Math.max(y0, y1) + margin];
    return [[left, top], [right, top], [right, bottom], [left, bottom]];
  }
}

// Drop corners that lie closer than `tolerance` to the line of their neighbours (Douglas and Peucker).
export function simplify(path, tolerance = 1.5) {
  if (path.length < 4) return path;
  const keep = new Uint8Array(path.length);
  keep[0] = keep[path.length - 1] = 1;
  const spans = [[0, path.length - 1]];
  while (spans.length) {
    const [from, to] = spans.pop();
    const [dx, dy] = [path[to][0] - path[from][0], path[to][1] - path[from][1]];
    const length = Math.hypot(dx, dy);
    let far = -1, most = tolerance;
    for (let i = from + 1; i < to; i++) {
      const [x, y] = [path[i][0] - path[from][0], path[i][1] - path[from][1]];
      const distance = length ? Math.abs(x * dy - y * dx) / length : Math.hypot(x, y);
      if (distance > most) [far, most] = [i, distance];
    }
    if (far < 0) continue;
    keep[far] = 1;
    spans.push([from, far], [far, to]);
  }
  return path.filter((_, i) => keep[i]);
}
