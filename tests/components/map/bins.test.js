// The histogram: bins of the score, bars, and the way between the threshold and its place.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import {
  barHeight,
  barsOf,
  binScores,
  chanceAt,
  countAtPlace,
  flaggedText,
  sampleTicks,
  scoreTicks,
  thresholdPlace,
} from "../../../app/components/map/bins.js";
import { thresholdChange } from "../../../app/components/map/keys.js";
import { pointsOf } from "./points.js";

const scores = Array.from({ length: 1000 }, (_, i) => (999 - i) / 10);
const points = pointsOf(scores);
const bins = binScores(points);

describe("bins", () => {
  it("hold each score once", () => {
    const bars = barsOf(bins, 0);
    assert.equal(bars.length, 120);
    assert.equal(
      bars.reduce((sum, bar) => sum + bar.all, 0),
      1000,
    );
    assert.ok(bars.slice(1, -1).every(({ all }) => all === 8 || all === 9));
  });

  it("put few extreme scores into the outermost bins instead of stretching the scale", () => {
    const { low, high } = binScores(pointsOf([1e9, ...Array.from({ length: 9999 }, (_, i) => 1 - i / 1e4)]));
    assert.ok(high <= 1 && low >= 0);
  });

  it("leave out scores that are not numbers", () => {
    const some = binScores(pointsOf([2, 1, -Infinity, -Infinity]));
    assert.equal(some.finite, 2);
    assert.equal(some.above[0], 2);
  });

  it("have a width where all scores are equal or there are none", () => {
    assert.deepEqual(rangeOf(pointsOf([3, 3])), [2.5, 3.5]);
    assert.deepEqual(rangeOf(pointsOf([])), [0, 1]);
  });
});

describe("bars", () => {
  it("show the flagged as the most suspicious", () => {
    const bars = barsOf(bins, 100);
    assert.equal(
      bars.reduce((sum, bar) => sum + bar.flagged, 0),
      100,
    );
    assert.equal(bars[0].flagged, 0);
    assert.equal(bars[119].flagged, bars[119].all);
    assert.ok(bars.every(({ all, flagged }) => flagged >= 0 && flagged <= all));
  });

  it("show those of a filter only", () => {
    const everySecond = (/** @type {number} */ rank) => Math.floor((rank + 1) / 2);
    const bars = barsOf(bins, 100, everySecond);
    assert.equal(
      bars.reduce((sum, bar) => sum + bar.all, 0),
      500,
    );
    assert.equal(
      bars.reduce((sum, bar) => sum + bar.flagged, 0),
      50,
    );
  });

  it("are as tall as the logarithm of their samples", () => {
    assert.equal(barHeight(0, 1000), 0);
    assert.equal(barHeight(1000, 1000), 1);
    assert.ok(Math.abs(barHeight(9, 99) - 0.5) < 1e-12);
  });
});

describe("axes", () => {
  it("say how likely labels are wrong where that is known, most likely first", () => {
    const points = pointsOf(Array.from({ length: 200 }, (_, i) => 10 - i / 20));
    const bins = binScores(points);
    /** @type {[number, number][]} */
    const chances = [[0.97, 20], [0.6, 100], [0.02, 200]]; // prettier-ignore
    const ticks = scoreTicks(points, bins, chances);
    assert.deepEqual(ticks.map(({ text }) => text), ["95 %", "50 %", "1 %"]); // prettier-ignore
    assert.equal(ticks[1].place, thresholdPlace(points, bins, 100));
    assert.equal(chanceAt(chances, 19), 0.97);
    assert.equal(chanceAt(chances, 20), 0.6);
    assert.equal(chanceAt(null, 0), undefined);
  });

  it("else say which share lies above, and never two in one place", () => {
    const points = pointsOf(Array.from({ length: 200 }, (_, i) => 10 - i / 20));
    const ticks = scoreTicks(points, binScores(points), null);
    assert.deepEqual(ticks.map(({ text }) => text), ["top 1 %", "top 25 %", "top 50 %", "top 75 %"]); // prettier-ignore
    assert.ok(ticks.every(({ place }, i) => place >= 0 && (!i || ticks[i - 1].place - place >= 0.16)));
    const alike = pointsOf(Array(50).fill(1));
    assert.equal(scoreTicks(alike, binScores(alike), null).length, 1);
  });

  it("name powers of ten where their bars end", () => {
    const ticks = sampleTicks(2500);
    assert.deepEqual(
      ticks.map(({ text }) => text),
      ["1", "10", "100", "1,000"],
    );
    assert.equal(ticks[2].place, barHeight(100, 2500));
    assert.deepEqual(
      sampleTicks(0).map(({ text }) => text),
      ["1"],
    );
  });
});

it("what is flagged is said of those that pass the filter", () => {
  const all = { flagged: 50, n: 1000 };
  assert.equal(flaggedText({ flagged: 50, shown: 1000 }, all, "rest"), " of 1,000 flagged · 5.00 % · rest");
  assert.equal(flaggedText({ flagged: 50, shown: 1000 }, all, ""), " of 1,000 flagged · 5.00 %");
  assert.equal(
    flaggedText({ flagged: 20, shown: 80 }, all, "rest"),
    " of 80 in the filter flagged · 25.0 % · rest · 50 of all 1,000",
  );
});

describe("the threshold", () => {
  it("stands where its score is, at the right end where nothing is flagged", () => {
    assert.equal(thresholdPlace(points, bins, 0), 1);
    assert.equal(thresholdPlace(points, bins, 1), 1);
    assert.equal(thresholdPlace(points, bins, 1000), 0);
    assert.ok(Math.abs(thresholdPlace(points, bins, 500) - 0.5) < 0.01);
  });

  it("flags what lies to its right", () => {
    assert.equal(countAtPlace(points, bins, 1.2), 0);
    assert.equal(countAtPlace(points, bins, 0), 1000);
    for (const flagged of [10, 250, 990]) {
      assert.equal(countAtPlace(points, bins, thresholdPlace(points, bins, flagged) - 1e-9), flagged);
    }
  });

  it("moves by keys, rightwards to fewer", () => {
    const press = (/** @type {Partial<KeyboardEvent>} */ event) =>
      thresholdChange({ ...NO_KEYS, key: "", ...event }, 5000);
    assert.equal(press({ key: "ArrowRight" }), -5);
    assert.equal(press({ key: "ArrowDown", shiftKey: true }), 1);
    assert.equal(press({ key: "PageDown" }), 50);
    assert.equal(press({ key: "End" }), -5000);
    assert.equal(press({ key: "x" }), null);
    assert.equal(press({ key: "ArrowRight", ctrlKey: true }), null);
  });
});

const NO_KEYS = { shiftKey: false, ctrlKey: false, metaKey: false, altKey: false };

/** @param {import("../../../app/components/map/drawing/points.js").Points} some */
function rangeOf(some) {
  const { low, high } = binScores(some);
  return [low, high];
}
