// What part of a picture is shown in the review.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { moveBy, nextContrast, WHOLE, zoomAt } from "../../../app/components/review/zoom.js";

/** @type {[number, number]} */
const FRAME = [400, 300];

describe("the zoom of a picture", () => {
  it("leaves what is under the pointer where it is", () => {
    const zoom = zoomAt(zoomAt(WHOLE, [100, 90], 2, FRAME), [100, 90], 3, FRAME);
    assert.equal(zoom.scale, 6);
    assert.deepEqual([(100 - zoom.x) / zoom.scale, (90 - zoom.y) / zoom.scale], [100, 90]);
  });

  it("never shows less than the frame holds, nor more than the picture", () => {
    const close = zoomAt(WHOLE, [0, 0], 4, FRAME);
    assert.deepEqual(moveBy(close, [9999, 9999], FRAME), { scale: 4, x: 0, y: 0 });
    assert.deepEqual(moveBy(close, [-9999, -9999], FRAME), { scale: 4, x: -1200, y: -900 });
    assert.deepEqual(zoomAt(moveBy(close, [-500, -500], FRAME), [10, 10], 0.01, FRAME), WHOLE);
  });

  it("has a limit", () => assert.equal(zoomAt(WHOLE, [0, 0], 1e6, FRAME).scale, 16));
});

it("the contrast rises and comes back", () => {
  const levels = [1, 2, 3].reduce((list) => [...list, nextContrast(list[list.length - 1])], [1]);
  assert.ok(levels[1] > levels[0] && levels[2] > levels[1]);
  assert.equal(levels[3], 1);
});
