// Mouse, touch and keyboard on the map, the point they find, and the buttons above.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";

import { buttonOf, layOut, point, press, turnWheel } from "../page.js";
import { pack } from "./points.js";
import { Points } from "../../../app/components/map/drawing/points.js";
import { View } from "../../../app/components/map/drawing/view.js";
import { Focus } from "../../../app/components/map/focus.js";
import { Gestures } from "../../../app/components/map/gestures.js";
import { toolbar } from "../../../app/components/map/toolbar.js";

/** @typedef {import("../../../app/components/map/drawing/view.js").Place} Place */

/** @type {HTMLCanvasElement} */
let surface;
/** @type {View} */
let view;
/** @type {Focus} */
let focus;
/** @type {Gestures} */
let gestures;
/** @type {(Place[] | null)[]} */
let selections;
/** @type {[string, any][]} */
let sent;

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  surface = document.createElement("canvas");
  surface.tabIndex = 0;
  document.body.replaceChildren(surface);
  layOut(surface, { left: 10, top: 20, width: 100, height: 100 });
  view = new View(() => {});
  view.width = 100;
  view.height = 100;
  view.setBounds({ left: 0, right: 10, bottom: 0, top: 10 });
  // Three points in a row; the first is the most suspicious.
  const points = new Points(
    pack([
      [5, 5, 0, 0, 3],
      [2, 5, 1, 255, 2],
      [8, 5, 65535, 255, 1],
    ]),
  );
  selections = [];
  sent = [];
  const source = {
    points,
    view,
    flagged: 1,
    chances: null,
    hasPreview: true,
    decisionOf: () => 0,
    send: (/** @type {string} */ name, /** @type {unknown} */ value) => sent.push([name, value]),
  };
  focus = new Focus(
    () => source,
    () => {},
  );
  gestures = new Gestures(surface, { view, focus, redraw: () => {}, select: (polygon) => selections.push(polygon) });
});
afterEach(() => mock.timers.reset());

/**
 * @param {Place[]} path in pixels of the plot
 * @param {PointerEventInit} more
 */
function drag(path, more = {}) {
  const [first, ...others] = path.map(([x, y]) => /** @type {Place} */ ([x + 10, y + 20]));
  point(surface, "pointerdown", [...first], more);
  for (const place of others) point(surface, "pointermove", [...place], more);
  point(surface, "pointerup", [...(others.at(-1) ?? first)], more);
}

const rounded = (/** @type {readonly number[]} */ place) => place.map((part) => Math.round(part * 1000) / 1000);

describe("the pointer", () => {
  it("moves the map with what it holds", () => {
    const held = view.toData([50, 50]);
    drag([
      [50, 50],
      [60, 55],
      [80, 70],
    ]);
    assert.deepEqual(rounded(view.toScreen(held)), [80, 70]);
    assert.deepEqual([selections, sent], [[], []]);
  });

  it("picks the point it clicks, though the hand shakes a little, and no point where none is near", () => {
    drag([
      [50, 50],
      [52, 51],
    ]);
    assert.deepEqual(sent, [["pick", { rank: 0, time: 0 }]]);
    assert.deepEqual(rounded(view.center), [5, 5]);
    drag([[50, 90]]);
    assert.deepEqual([sent.length, focus.focused], [1, -1]);
  });

  it("shows the point it rests on, asks for the sample after a moment, and leaves it with the plot", () => {
    point(surface, "pointermove", [31, 70]);
    assert.equal(focus.hovered, 1);
    assert.match(focus.card.root.textContent ?? "", /dog · rank 2 · not flagged/);
    assert.equal(focus.card.root.hidden, false);
    mock.timers.tick(160);
    assert.deepEqual(sent[0], ["hover", { rank: 1, time: 160 }]);
    point(surface, "pointerleave", [0, 0]);
    assert.deepEqual([focus.hovered, focus.card.root.hidden], [-1, true]);
  });

  it("asks for nothing that it only passes", () => {
    point(surface, "pointermove", [31, 70]);
    mock.timers.tick(100);
    point(surface, "pointermove", [31, 110]);
    mock.timers.tick(1000);
    assert.deepEqual(sent, []);
  });
});

describe("a selection", () => {
  it("is a box with Shift, or in that mode", () => {
    drag(
      [
        [20, 20],
        [40, 40],
        [60, 80],
      ],
      { shiftKey: true },
    );
    gestures.mode = "box";
    drag([
      [20, 20],
      [60, 80],
    ]);
    assert.equal(selections.length, 2);
    for (const polygon of selections) {
      const corners = (polygon ?? []).map((corner) => rounded(corner).join());
      assert.deepEqual(new Set(corners), new Set(["2,8", "6,8", "6,2", "2,2"]));
    }
    assert.equal(gestures.path, null);
  });

  it("is a lasso that is shown while it grows; a line selects nothing", () => {
    gestures.mode = "lasso";
    point(surface, "pointerdown", [30, 40]);
    for (const place of [
      [70, 40],
      [70, 80],
    ])
      point(surface, "pointermove", [place[0], place[1]]);
    assert.equal(gestures.path?.length, 3);
    point(surface, "pointerup", [70, 80]);
    assert.equal(selections.at(-1)?.length, 3);
    drag([
      [20, 20],
      [80, 20],
    ]);
    assert.equal(selections.length, 1);
  });

  it("does not begin with another button", () => {
    drag(
      [
        [50, 50],
        [90, 90],
      ],
      { button: 2 },
    );
    assert.deepEqual([rounded(view.center), sent], [[5, 5], []]);
  });
});

describe("two fingers", () => {
  it("zoom by how far they part, about what lies between them, and pick nothing", () => {
    point(surface, "pointerdown", [50, 70], { pointerId: 1 });
    point(surface, "pointerdown", [70, 70], { pointerId: 2 });
    point(surface, "pointermove", [90, 70], { pointerId: 2 });
    assert.ok(view.zoom > 1.8, `${view.zoom}`);
    point(surface, "pointerup", [90, 70], { pointerId: 2 });
    point(surface, "pointerup", [50, 70], { pointerId: 1 });
    assert.deepEqual([sent, selections], [[], []]);
  });
});

describe("the wheel", () => {
  const middle = { clientX: 60, clientY: 70 };

  it("scrolls the page until the map has the focus, or Ctrl is held", () => {
    assert.ok(!turnWheel(surface, -100, middle));
    assert.equal(view.zoom, 1);
    assert.ok(turnWheel(surface, -100, { ...middle, ctrlKey: true }));
    const { zoom } = view;
    assert.ok(zoom > 1);
    surface.focus();
    assert.ok(turnWheel(surface, 100, middle));
    assert.ok(view.zoom < zoom);
  });

  it("keeps what is under the pointer where it is", () => {
    surface.focus();
    const under = view.toData([20, 30]);
    turnWheel(surface, -200, { clientX: 30, clientY: 50 });
    assert.deepEqual(rounded(view.toScreen(under)), [20, 30]);
  });
});

describe("keys", () => {
  it("go by suspicion, and say where they are", () => {
    press("n", surface);
    press("n", surface);
    assert.equal(focus.focused, 1);
    assert.equal(focus.live.textContent, "dog, rank 2, not flagged");
    for (const key of ["n", "n", "n"]) press(key, surface);
    assert.equal(focus.focused, 2);
    assert.match(focus.live.textContent ?? "", /^no label, /);
    press("p", surface);
    press("Enter", surface);
    assert.deepEqual(sent.at(-1), ["pick", { rank: 1, time: 0 }]);
  });

  it("go to the next point in a direction", () => {
    press("ArrowLeft", surface);
    assert.equal(focus.focused, 0);
    press("ArrowLeft", surface);
    assert.equal(focus.focused, 1);
    press("ArrowRight", surface);
    press("ArrowRight", surface);
    assert.equal(focus.focused, 2);
  });

  it("mark the corners of a selection", () => {
    press(" ", surface);
    assert.equal(focus.live.textContent, "", "there is no point to begin at");
    press("n", surface);
    press("n", surface);
    press(" ", surface);
    assert.match(focus.live.textContent ?? "", /^First corner/);
    press("n", surface);
    press(" ", surface);
    const [polygon] = selections;
    const xs = (polygon ?? []).map(([x]) => Math.round(x));
    assert.deepEqual([Math.min(...xs), Math.max(...xs)], [2, 8]);
  });

  it("zoom, move and show all again", () => {
    press("+", surface);
    assert.equal(view.zoom, 1.5);
    press("ArrowRight", surface, { shiftKey: true });
    assert.ok(view.center[0] > 5);
    press("0", surface);
    assert.deepEqual([view.zoom, rounded(view.center)], [1, [5, 5]]);
  });

  it("let go of everything by Escape, and of nothing by a key without a meaning", () => {
    press("n", surface);
    assert.ok(!press("q", surface));
    assert.ok(press("Escape", surface));
    assert.deepEqual([focus.focused, focus.card.root.hidden, selections], [-1, true, [null]]);
  });
});

describe("the buttons", () => {
  it("choose how dragging is meant, one at a time", () => {
    const bar = toolbar(gestures, view, [document.createElement("button")]);
    buttonOf(bar, "Lasso").click();
    assert.equal(gestures.mode, "lasso");
    assert.ok(surface.classList.contains("drawing"));
    const pressed = [...bar.querySelectorAll("[aria-pressed=true]")].map((node) => node.textContent);
    assert.deepEqual(pressed, ["Lasso"]);
    buttonOf(bar, "Move").click();
    assert.ok(!surface.classList.contains("drawing"));
  });

  it("zoom about the middle", () => {
    const bar = toolbar(gestures, view, [document.createElement("button")]);
    buttonOf(bar, "Zoom in").click();
    buttonOf(bar, "Zoom in").click();
    buttonOf(bar, "Zoom out").click();
    assert.deepEqual([rounded([view.zoom]), rounded(view.center)], [[1.5], [5, 5]]);
    buttonOf(bar, "Fit").click();
    assert.equal(view.zoom, 1);
  });
});
