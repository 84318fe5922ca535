// Points of a map to test with.

import { Points } from "../../../app/components/map/drawing/points.js";

/** @typedef {[x: number, y: number, label: number, finding: number, score: number]} Row */

/**
 * Pack points as points.py does.
 *
 * @param {Row[]} rows most suspicious first, those that are drawn
 * @param {string[]} labels
 * @param {{ n?: number, stride?: number }} samples how many there are, and for how many of them one is drawn
 */
export function pack(rows, labels = ["cat", "dog"], { n = rows.length, stride = 1 } = {}) {
  const head = JSON.stringify({ n, stride, labels, findings: ["noise"] });
  const padded = new TextEncoder().encode(head + " ".repeat(-head.length & 3));
  const start = 4 + padded.length;
  const bytes = new Uint8Array(start + 16 * rows.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, padded.length, true);
  bytes.set(padded, 4);
  rows.forEach(([x, y, label, finding, score], i) => {
    view.setFloat32(start + 12 * i, x, true);
    view.setFloat32(start + 12 * i + 4, y, true);
    view.setUint16(start + 12 * i + 8, label, true);
    view.setUint8(start + 12 * i + 10, finding);
    view.setFloat32(start + 12 * rows.length + 4 * i, score, true);
  });
  return bytes.buffer;
}

/**
 * Points that differ by their scores only.
 *
 * @param {number[]} scores falling
 */
export function pointsOf(scores) {
  return new Points(pack(scores.map((score) => [0, 0, 0, 255, score])));
}

/**
 * Numbers from 0 to 1 that are the same in every run.
 *
 * @param {number} seed
 */
export function generator(seed) {
  let state = seed;
  return () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state / 2147483648;
  };
}
