// Gestures on the map: outlines, pinching, the wheel, keys, and what is in view.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { View } from "../../../app/components/map/drawing/view.js";
import { mapCommand } from "../../../app/components/map/keys.js";
import { boxCorners, outlineOf, pinch, simplify } from "../../../app/components/map/outline.js";

import { wheelFactor } from "../../../app/components/wheel.js";

/** @typedef {import("../../../app/components/map/drawing/view.js").Place} Place */

describe("an outline", () => {
  it("loses the corners that lie on a line and no others", () => {
    /** @type {Place[]} */
    const path = [
      [0, 0],
      [5, 0.5],
      [10, 0],
      [10, 5],
      [10, 10],
      [0, 10],
    ];
    assert.deepEqual(simplify(path, 1.5), [
      [0, 0],
      [10, 0],
      [10, 10],
      [0, 10],
    ]);
    assert.deepEqual(simplify(path, 0.1), [
      [0, 0],
      [5, 0.5],
      [10, 0],
      [10, 10],
      [0, 10],
    ]);
  });

  it("stays as it is with three corners", () => {
    /** @type {Place[]} */
    const path = [
      [0, 0],
      [1, 0],
      [0, 0],
    ];
    assert.equal(simplify(path, 10), path);
  });

  it("keeps a closed path whose ends meet", () => {
    const circle = circleOf(100, 50);
    assert.ok(simplify(circle, 1.5).length > 8);
  });

  it("has few enough corners to send, and stays near the path", () => {
    const path = Array.from({ length: 4000 }, (_, i) => /** @type {Place} */ ([i, i % 2 ? 40 : 0]));
    assert.ok(outlineOf(path).length <= 300);
    const circle = circleOf(3000, 500);
    for (const [x, y] of outlineOf(circle)) assert.ok(Math.abs(Math.hypot(x, y) - 500) < 1e-9);
  });
});

describe("a box", () => {
  it("has its corners in order, whichever way it was drawn", () => {
    const expected = [
      [1, 2],
      [5, 2],
      [5, 7],
      [1, 7],
    ];
    assert.deepEqual(boxCorners([5, 7], [1, 2]), expected);
    assert.deepEqual(boxCorners([1, 7], [5, 2]), expected);
  });

  it("may be wider by a margin", () => {
    assert.deepEqual(boxCorners([0, 0], [2, 2], 1), [
      [-1, -1],
      [3, -1],
      [3, 3],
      [-1, 3],
    ]);
  });
});

describe("zoom", () => {
  it("of a pinch is the ratio of distances, about the middle", () => {
    assert.deepEqual(pinch([10, 0], [20, 0], [0, 0]), { center: [10, 0], factor: 2 });
    assert.equal(pinch([0, 0], [5, 0], [0, 0]).factor, 5);
  });

  it("of the wheel undoes itself, in pixels and in lines", () => {
    for (const deltaMode of [0, 1]) {
      const product = wheelFactor({ deltaY: 3, deltaMode }) * wheelFactor({ deltaY: -3, deltaMode });
      assert.ok(Math.abs(product - 1) < 1e-12);
    }
    assert.ok(wheelFactor({ deltaY: -100, deltaMode: 0 }) > 1.1);
  });

  it("leaves what is under the pointer where it is", () => {
    const view = viewOf(800, 400);
    const before = view.toData([100, 300]);
    view.zoomAt([100, 300], 7);
    near(view.toData([100, 300]), before);
    assert.equal(view.zoom, 7);
  });

  it("has limits", () => {
    const view = viewOf(800, 400);
    view.zoomAt([0, 0], 1e9);
    assert.equal(view.zoom, 4000);
    view.zoomAt([0, 0], 1e-9);
    assert.equal(view.zoom, 0.5);
  });
});

describe("the view", () => {
  it("turns pixels to data and back, y upwards", () => {
    const view = viewOf(800, 400);
    near(view.toScreen(view.toData([123, 45])), [123, 45]);
    assert.ok(view.toData([0, 0])[1] > view.toData([0, 400])[1]);
  });

  it("shows all, stretched by at most 1.6", () => {
    const view = viewOf(800, 400);
    const [x, y] = view.pixels;
    assert.equal(y, 40);
    assert.equal(x, 64);
  });

  it("moves with the pointer", () => {
    const view = viewOf(800, 400);
    const before = view.toScreen([5, 5]);
    view.panBy([30, -20]);
    near(view.toScreen([5, 5]), [before[0] + 30, before[1] - 20]);
  });

  it("goes to a place only where that is out of sight", () => {
    const view = viewOf(800, 400);
    view.reveal([6, 6]);
    assert.deepEqual(view.center, [5, 5]);
    view.reveal([60, 6]);
    assert.deepEqual(view.center, [60, 6]);
  });
});

describe("keys on the map", () => {
  const press = (/** @type {string} */ key, more = {}) =>
    mapCommand({ key, shiftKey: false, ctrlKey: false, metaKey: false, altKey: false, ...more });

  it("go from point to point, or move the map with Shift", () => {
    assert.deepEqual(press("ArrowUp"), { name: "towards", by: [0, 1] });
    assert.deepEqual(press("ArrowUp", { shiftKey: true }), { name: "pan", by: [-0, 60] });
    assert.deepEqual(press("ArrowRight", { shiftKey: true }), { name: "pan", by: [-60, 0] });
  });

  it("have names", () => {
    assert.deepEqual(press("n"), { name: "step", by: 1 });
    assert.deepEqual(press("0"), { name: "fit" });
    assert.deepEqual(press("+"), { name: "zoom", factor: 1.5 });
  });

  it("leave the browser's own alone", () => {
    assert.equal(press("+", { ctrlKey: true }), null);
    assert.equal(press("q"), null);
  });
});

/**
 * @param {number} width
 * @param {number} height
 */
function viewOf(width, height) {
  const view = new View(() => {});
  view.width = width;
  view.height = height;
  view.setBounds({ left: 0, right: 10, bottom: 0, top: 10 });
  return view;
}

/**
 * @param {number} corners
 * @param {number} radius
 */
function circleOf(corners, radius) {
  return Array.from({ length: corners }, (_, i) => {
    const angle = (2 * Math.PI * i) / (corners - 1);
    return /** @type {Place} */ ([radius * Math.cos(angle), radius * Math.sin(angle)]);
  });
}

/**
 * @param {Place} actual
 * @param {Place} expected
 */
function near(actual, expected) {
  actual.forEach((value, i) => assert.ok(Math.abs(value - expected[i]) < 1e-6, `${actual} is not ${expected}`));
}
