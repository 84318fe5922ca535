// The points of the map: reading what the server packed, and the questions the map asks.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { boundsOf, Points, ranked, unpackBits } from "../../../app/components/map/drawing/points.js";
import { generator, pack } from "./points.js";

const points = new Points(
  pack([
    [0, 0, 0, 0, 9],
    [1, 0, 1, 255, 5],
    [0, 2, 65535, 255, 5],
    [NaN, NaN, 1, 255, -Infinity],
  ]),
);

describe("points", () => {
  it("are read as they were packed", () => {
    assert.equal(points.n, 4);
    assert.deepEqual(points.place(2), [0, 2]);
    assert.deepEqual(
      [0, 1, 2].map((rank) => points.label(rank)),
      ["cat", "dog", undefined],
    );
    assert.deepEqual(
      [0, 1].map((rank) => points.finding(rank)),
      ["noise", undefined],
    );
  });

  it("are counted from a score upwards, ties included", () => {
    assert.deepEqual(
      [9.5, 9, 6, 5, 0].map((score) => points.countAbove(score)),
      [0, 1, 1, 3, 3],
    );
    assert.equal(points.countAbove(-Infinity), 4);
  });

  it("have bounds with a margin, without those that have no position", () => {
    const { left, right, bottom, top } = points.bounds;
    assert.deepEqual(
      [left, right, bottom, top].map((value) => value.toFixed(3)),
      ["-0.030", "1.030", "-0.060", "2.060"],
    );
    assert.deepEqual(boundsOf(new Float32Array([NaN, NaN, 0])), { left: 0, right: 1, bottom: 0, top: 1 });
    assert.deepEqual(boundsOf(new Float32Array([3, 4, 0])), { left: 2.5, right: 3.5, bottom: 3.5, top: 4.5 });
  });

  it("are hit within a radius only", () => {
    assert.equal(points.nearest([0.9, 0.1], [0.3, 0.3]), 1);
    assert.equal(points.nearest([0.5, 1], [0.3, 0.3]), -1);
  });

  it("are hit as a plain search finds them", () => {
    const random = generator(7);
    /** @type {[number, number, number, number, number][]} */
    const rows = Array.from({ length: 500 }, (_, i) => [random(), random(), 0, 0, -i]);
    const many = new Points(pack(rows));
    for (let i = 0; i < 200; i++) {
      const x = random();
      const y = random();
      const distances = rows.map((_, rank) => ({
        rank,
        distance: Math.hypot(many.place(rank)[0] - x, many.place(rank)[1] - y),
      }));
      const near = distances.filter(({ distance }) => distance < 0.05).sort((a, b) => a.distance - b.distance);
      assert.equal(many.nearest([x, y], [0.05, 0.05]), near[0]?.rank ?? -1);
    }
  });

  it("are reached by direction", () => {
    assert.equal(points.towards(0, [1, 0]), 1);
    assert.equal(points.towards(0, [0, 1]), 2);
    assert.equal(points.towards(0, [-1, 0]), -1);
  });
});

describe("a set of points", () => {
  it("comes as bits, the lowest first", () => {
    assert.deepEqual([...unpackBits(new Uint8Array([0b00000101, 0b1]), 9)], [1, 0, 1, 0, 0, 0, 0, 0, 1]);
  });

  it("is counted among the first points", () => {
    const inside = ranked(new Uint8Array([1, 0, 1, 1]));
    assert.deepEqual([0, 1, 2, 3, 4].map(inside), [0, 1, 1, 2, 3]);
    assert.equal(ranked(null)(3), 3);
  });
});

describe("points of which every third is drawn", () => {
  /** @type {[number, number, number, number, number][]} */
  const rows = [0, 1, 2].map((point) => [point, point, point % 2, 255, 9 - point]);
  const some = new Points(pack(rows, undefined, { n: 8, stride: 3 }));

  it("keep the ranks and counts of all samples", () => {
    assert.equal(some.drawn, 3);
    assert.deepEqual(some.place(6), [2, 2]);
    assert.equal(some.label(3), "dog");
    assert.equal(some.score(5), 8);
    assert.deepEqual(
      [0, 1, 3, 4, 8].map((samples) => some.pointsAmong(samples)),
      [0, 1, 1, 2, 3],
    );
    assert.deepEqual(
      [10, 9, 8, 0].map((score) => some.countAbove(score)),
      [0, 3, 6, 8],
    );
    assert.equal(some.nearest([2.1, 2], [0.5, 0.5]), 6);
    assert.equal(some.towards(0, [1, 1]), 3);
  });

  it("show what is said of the samples that they are", () => {
    assert.deepEqual([...some.ofDrawn(new Uint8Array([1, 0, 0, 0, 1, 1, 1, 0]))], [1, 0, 1]);
    assert.deepEqual(some.decidedOf(new Uint32Array([6, 3, 4, 1, 0, 2])), [
      { point: 2, code: 3 },
      { point: 0, code: 2 },
    ]);
  });
});
