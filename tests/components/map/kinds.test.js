// Colours of the map: which classes have one, how far apart they are, and the legend.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { coloredCodes, kindsOf, legendOf, PLAIN, slotsOf } from "../../../app/components/map/drawing/kinds.js";
import { COLORS, lookOf, namesOf, pointSize } from "../../../app/components/map/drawing/look.js";
import { Points } from "../../../app/components/map/drawing/points.js";
import { fromHex } from "../../../app/components/theme.js";
import { pack } from "./points.js";

const NAMES = Array.from({ length: 1000 }, (_, i) => `class ${i}`);

/** @param {number[]} labels of the points */
function manyKinds(labels) {
  const points = new Points(
    pack(
      labels.map((label, rank) => [0, 0, label, 255, -rank]),
      NAMES,
    ),
  );
  const kinds = kindsOf(points, "label");
  assert.ok(kinds);
  return kinds;
}

describe("classes", () => {
  it("all have a colour of their own while there are enough", () => {
    const kinds = { names: NAMES.slice(0, COLORS), code: () => 0 };
    const codes = coloredCodes(kinds, 10, () => true, []);
    assert.deepEqual(codes, [...Array(COLORS).keys()]);
    assert.equal(COLORS, 20);
  });

  it("beyond that are coloured where they are looked at, the most frequent first", () => {
    const kinds = manyKinds([7, 7, 7, 500, 500, 900, 3]);
    const codes = coloredCodes(kinds, 7, (rank) => rank < 6, []);
    assert.deepEqual(codes.slice(0, 4), [7, 500, 900, 0]);
    assert.equal(codes.length, COLORS);
  });

  it("have a colour once they are picked", () => {
    const codes = coloredCodes(manyKinds([7, 7, 500]), 3, () => true, [999]);
    assert.deepEqual(codes.slice(0, 3), [999, 7, 500]);
    assert.equal(new Set(codes).size, COLORS);
  });

  it("without a colour are grey, and so are points without a class", () => {
    const slots = slotsOf(manyKinds([7, 500, 65535, 3]), 4, [500, 7]);
    assert.deepEqual([...slots], [1, 0, PLAIN, PLAIN]);
  });

  it("are kinds only where colour tells them apart", () => {
    const points = new Points(pack([[0, 0, 0, 0, 1]]));
    assert.equal(kindsOf(points, "score"), null);
    assert.deepEqual(kindsOf(points, "finding")?.names, ["noise"]);
  });
});

describe("the palette", () => {
  for (const dark of [false, true]) {
    const names = namesOf(dark);
    const ground = dark ? "dark" : "light";
    const colors = [...names.palette, names.accent, names.plain].map((text) => linear(fromHex(text)));

    it(`is told apart on ${ground} ground`, () => assert.ok(closest(colors) > 0.09));

    it(`is told apart on ${ground} ground by eyes without red or green cones`, () => {
      for (const matrix of [PROTANOPE, DEUTERANOPE]) {
        assert.ok(closest(colors.map((color) => times(matrix, color).map((part) => Math.max(0, part)))) > 0.05);
      }
    });
  }
});

describe("the legend", () => {
  const theme = { dark: false, text: fromHex("#000000"), background: fromHex("#ffffff") };

  it("names the coloured classes and counts the others", () => {
    const kinds = manyKinds([7]);
    const entries = legendOf(lookOf(theme, "label", 1), kinds, [7, 3], false);
    assert.deepEqual(
      entries.map(({ name }) => name),
      ["class 7", "class 3", "998 others"],
    );
    assert.notEqual(entries[0].color, entries[1].color);
  });

  it("says what flagged, score and decisions look like", () => {
    const words = (/** @type {"flagged" | "score" | "decision"} */ colorBy, isDecided = false) =>
      legendOf(lookOf(theme, colorBy, 1), null, [], isDecided).map(({ name }) => name);
    assert.deepEqual(words("flagged"), ["flagged", "not flagged"]);
    assert.deepEqual(words("score"), ["least to most suspicious"]);
    assert.deepEqual(words("decision"), ["keep", "corrected", "remove", "unsure", "nothing decided yet"]);
    assert.equal(words("decision", true)[4], "undecided");
  });
});

describe("a point", () => {
  it("is smaller in a crowd and grows slowly with the zoom, to a limit", () => {
    const sizes = [1e3, 1e4, 1e5, 1e6].map((n) => pointSize(n, 1));
    assert.deepEqual(sizes, [6, 4, 2.6, 1.8]);
    assert.ok(pointSize(1e6, 4) > 1.8 && pointSize(1e6, 4) < 4 * 1.8);
    assert.equal(pointSize(10, 1e6), 12);
  });
});

/** @typedef {readonly number[]} Vector */

// Machado, Oliveira and Fernandes 2009, severity 1, on linear red, green and blue.
const PROTANOPE = [
  [0.152286, 1.052583, -0.204868],
  [0.114503, 0.786281, 0.099216],
  [-0.003882, -0.048116, 1.051998],
];
const DEUTERANOPE = [
  [0.367322, 0.860646, -0.227968],
  [0.280085, 0.672501, 0.047413],
  [-0.01182, 0.04294, 0.968881],
];
// OKLab (Ottosson 2020).
const CONES = [
  [0.4122215, 0.5363325, 0.051446],
  [0.2119035, 0.6806995, 0.107397],
  [0.0883025, 0.2817188, 0.6299787],
];
const LAB = [
  [0.2104543, 0.7936178, -0.004072],
  [1.9779985, -2.4285922, 0.4505937],
  [0.025904, 0.7827718, -0.8086758],
];

/** @param {Vector} color */
function linear(color) {
  return color.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
}

/**
 * @param {number[][]} matrix
 * @param {Vector} vector
 */
function times(matrix, vector) {
  return matrix.map((row) => row.reduce((sum, value, i) => sum + value * vector[i], 0));
}

/**
 * The least distance between two colours in OKLab.
 *
 * @param {Vector[]} colors linear
 */
function closest(colors) {
  const places = colors.map((color) => times(LAB, times(CONES, color).map(Math.cbrt)));
  const distances = places.flatMap((place, i) =>
    places.slice(0, i).map((other) => Math.hypot(...place.map((value, k) => value - other[k]))),
  );
  return Math.min(...distances);
}
