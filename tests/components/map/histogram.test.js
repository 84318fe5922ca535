// The histogram with the threshold's handle: what is drawn, what dragging and keys move, when the server is told.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";

import { layOut, point, press, texts } from "../page.js";
import { pointsOf } from "./points.js";
import { Histogram } from "../../../app/components/map/histogram.js";

/** @typedef {{ fill: string, x: number, y: number, width: number, height: number }} Rectangle */

const N = 200;
/** @type {import("../../../app/components/map/drawing/look.js").Look} */
const LOOK = /** @type {any} */ ({ plain: [0, 0, 0], accent: [1, 0, 0] });
const LIGHT = /** @type {const} */ ({ background: [1, 1, 1], dark: false, text: [0, 0, 0] });
const ACCENT = "rgba(255,0,0,1)";

/** @type {number[]} */
let counts;
let releases = 0;
/** @type {Histogram} */
let histogram;
/** @type {Rectangle[]} */
let drawn;

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout"] });
  counts = [];
  releases = 0;
  drawn = [];
  histogram = new Histogram(
    (count) => {
      counts.push(count);
      histogram.setCount(count);
    },
    () => (releases += 1),
  );
  document.body.replaceChildren(histogram.root);
  layOut(histogram.plot, { left: 100, width: 400, height: 50 });
  const pen = {
    fillStyle: "",
    setTransform: () => {},
    clearRect: () => (drawn = []),
    /** @param {number[]} box */
    fillRect: (...[x, y, width, height]) => drawn.push({ fill: pen.fillStyle, x, y, width, height }),
  };
  histogram.canvas.getContext = /** @type {any} */ (() => pen);
  // Scores fall evenly from 10 to nearly 0.
  histogram.setPoints(pointsOf(Array.from({ length: N }, (_, i) => 10 - i / 20)), "how likely the mask is wrong", [
    [0.9, 50],
    [0.1, 200],
  ]);
  histogram.setCount(20);
});
afterEach(() => mock.timers.reset());

const area = (/** @type {Rectangle[]} */ boxes) => boxes.reduce((sum, { width, height }) => sum + width * height, 0);

describe("the bars", () => {
  it("stand on the ground, inside the plot, with the flagged part at the right end", () => {
    histogram.draw(LOOK, LIGHT);
    const accent = drawn.filter(({ fill, height }) => fill === ACCENT && height > 0);
    const plain = drawn.filter(({ fill, height }) => fill !== ACCENT && height > 0);
    assert.ok(accent.length > 0 && plain.length > accent.length);
    assert.ok(Math.min(...accent.map(({ x }) => x)) >= Math.max(...plain.map(({ x }) => x)) - 400 / 40);
    for (const { x, y, width, height } of drawn)
      assert.ok(x >= 0 && x + width <= 400 && y >= 0 && y + height <= 50.001);
  });

  it("all have the accent where all is flagged, none where nothing is", () => {
    histogram.setCount(N);
    histogram.draw(LOOK, LIGHT);
    assert.equal(area(drawn.filter(({ fill }) => fill !== ACCENT)), 0);
    histogram.setCount(0);
    histogram.draw(LOOK, LIGHT);
    assert.equal(area(drawn.filter(({ fill }) => fill === ACCENT)), 0);
  });

  it("of a filter stand before those of all, which are pale", () => {
    histogram.setSelection(Uint8Array.from({ length: N }, (_, i) => Number(i % 4 === 0)));
    histogram.draw(LOOK, LIGHT);
    const pale = drawn.filter(({ fill }) => fill === "rgba(0,0,0,0.18)");
    const strong = drawn.filter(({ fill }) => fill !== "rgba(0,0,0,0.18)");
    assert.ok(area(pale) > area(strong) && area(strong) > 0);
    assert.equal(histogram.inside(N), 50);
    assert.ok(drawn.indexOf(strong[0]) > drawn.indexOf(pale[pale.length - 1]));
  });

  it("are as sharp as the screen, and wait for a plot with a size", () => {
    histogram.draw(LOOK, LIGHT);
    assert.deepEqual([histogram.canvas.width, histogram.canvas.height], [800, 100]);
    drawn = [];
    layOut(histogram.plot, { width: 0, height: 0 });
    histogram.draw(LOOK, LIGHT);
    assert.deepEqual(drawn, []);
  });
});

describe("the handle", () => {
  it("says how many are flagged, in words and as a slider that grows rightwards", () => {
    const { handle } = histogram;
    assert.equal(handle.getAttribute("aria-valuetext"), "20 of 200 flagged, 10.0 %, the last one 90 % likely wrong");
    assert.deepEqual([handle.getAttribute("aria-valuenow"), handle.getAttribute("aria-valuemax")], ["180", "200"]);
    const before = parseFloat(handle.style.left);
    histogram.setCount(100);
    assert.ok(parseFloat(handle.style.left) < before);
    histogram.setCount(0);
    assert.equal(handle.getAttribute("aria-valuetext"), "0 of 200 flagged, 0 %");
  });

  it("follows the pointer, and the server hears of it once, at the end", () => {
    point(histogram.plot, "pointerdown", [300, 10]);
    assert.ok(histogram.isDragging);
    assert.ok(Math.abs(counts[0] - N / 2) < 10, `${counts}`);
    for (const x of [250, 200, 150]) point(histogram.plot, "pointermove", [x, 10]);
    assert.deepEqual(
      counts,
      [...counts].sort((a, b) => a - b),
    );
    assert.equal(releases, 0);
    point(histogram.plot, "pointerup", [150, 10]);
    assert.deepEqual([releases, histogram.isDragging], [1, false]);
    const moved = counts.length;
    point(histogram.plot, "pointermove", [400, 10]);
    point(histogram.plot, "pointerup", [400, 10]);
    assert.deepEqual([counts.length, releases], [moved, 1]);
  });

  it("stays inside when the pointer leaves the plot", () => {
    point(histogram.plot, "pointerdown", [9000, 10]);
    point(histogram.plot, "pointermove", [-9000, 10]);
    point(histogram.plot, "pointercancel", [-9000, 10]);
    assert.deepEqual([counts[0], counts[1], releases], [0, N, 1]);
  });

  it("takes the first button only", () => {
    point(histogram.plot, "pointerdown", [300, 10], { button: 2 });
    assert.deepEqual([counts, histogram.isDragging], [[], false]);
  });

  it("moves by keys within what there is, and the server hears of the last one", () => {
    assert.ok(press("Home", histogram.handle));
    assert.ok(press("ArrowDown", histogram.handle));
    assert.ok(press("ArrowUp", histogram.handle));
    assert.deepEqual(counts, [N, N, N - 1]);
    mock.timers.tick(299);
    assert.equal(releases, 0);
    mock.timers.tick(1);
    assert.equal(releases, 1);
    assert.ok(!press("x", histogram.handle));
    assert.equal(counts.length, 3);
  });
});

it("an empty map has no handle and takes no drag", () => {
  histogram.setPoints(pointsOf([]), "loss", null);
  assert.ok(histogram.handle.hidden);
  point(histogram.plot, "pointerdown", [300, 10]);
  assert.deepEqual(counts, []);
});

it("the axes say what they mean and carry ticks inside the plot", () => {
  assert.match(histogram.name.textContent ?? "", /^how likely the mask is wrong/);
  assert.deepEqual(texts(histogram.scores, "span"), ["90 %", "10 %"]);
  histogram.setChances("loss, more suspicious to the right", null);
  assert.match(histogram.name.textContent ?? "", /^loss, more suspicious to the right/);
  const places = [...histogram.scores.children].map((tick) => parseFloat(/** @type {HTMLElement} */ (tick).style.left));
  assert.ok(places.length > 1 && places.every((place) => place >= 0 && place <= 100), `${places}`);
  assert.ok(texts(histogram.samples, "span").length > 0);
});
