// The fields of a table's row, beside what is usual in its class.

import assert from "node:assert/strict";
import { it } from "node:test";

import { newPlace, texts } from "./page.js";
import { fieldTable } from "../../app/components/preview/fields.js";

/** @type {import("../../app/components/sample.js").Sample} */
const ROW = {
  id: "7", given: "yes", predicted: "no", fields: [["job", "nurse"], ["age", "41"], ["income", "3"]],
  values: [
    { column: "income", place: 0.98, given: [0.1, 0.2, 0.3], other: [0.7, 0.8, 0.9], unusual: true },
    { column: "age", place: 0.5, given: [0.4, 0.5, 0.6], other: null, unusual: false },
  ],
}; // prettier-ignore

/** @param {import("../../app/components/sample.js").Sample} sample */
function shown(sample) {
  const place = newPlace();
  place.append(...fieldTable(sample));
  return place;
}

it("stand with the unusual first, each number on its axis", () => {
  const place = shown(ROW);
  assert.deepEqual(texts(place, "th"), ["income", "job", "age"]);
  assert.deepEqual(texts(place, ".unusual"), ["unusual for yes"]);
  const marks = /** @type {HTMLElement[]} */ ([...place.querySelectorAll(".value")]);
  assert.deepEqual(marks.map((mark) => mark.style.left), ["98.0%", "50.0%"]); // prettier-ignore
  assert.equal(place.querySelectorAll(".range.given").length, 2);
  assert.equal(place.querySelectorAll(".range.other").length, 1);
  const range = /** @type {HTMLElement} */ (place.querySelector(".range.given"));
  assert.deepEqual([range.style.left, range.style.width], ["10.0%", "20.0%"]);
});

it("say what the marks mean, and only where there are any", () => {
  assert.match(texts(shown(ROW), ".shades")[0] ?? "", /10 to 90 %\): {2}of yes, {2}of no\.$/);
  assert.match(texts(shown({ ...ROW, predicted: "yes" }), ".shades")[0] ?? "", /: {2}of yes\.$/);
  const plain = shown({ ...ROW, values: undefined });
  assert.deepEqual(texts(plain, "th"), ["job", "age", "income"]);
  assert.equal(plain.querySelectorAll(".shades, .axis").length, 0);
});
