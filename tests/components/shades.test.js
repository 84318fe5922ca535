// Texts whose words are shaded by what they weigh, alone and in pairs.

import assert from "node:assert/strict";
import { it } from "node:test";

import "./page.js";

const { samplePreview } = await import("../../app/components/sample_preview.js");

/** @param {object} more */
const drawn = (more) => {
  const place = document.createElement("div");
  place.append(...samplePreview({ id: "r1", text: "a good day", given: "spam", ...more }));
  return place;
};

it("both texts of a pair are shaded, with one legend that says the sum", () => {
  const place = drawn({
    text_pair: "or <b>not</b>",
    weights: [[2, 6, 1]],
    pair_weights: [[3, 13, -0.5]],
    weights_note: "It adds up to +0.4.",
  });
  const marks = [...place.querySelectorAll(".text mark")].map((mark) => [mark.textContent, mark.className]);
  assert.deepEqual(marks, [
    ["good", "towards"],
    ["<b>not</b>", "against"],
  ]);
  assert.equal(place.querySelectorAll(".shades").length, 1);
  assert.match(place.querySelector(".shades")?.textContent ?? "", /against “spam”, .* It adds up to \+0\.4\.$/);
});

it("a text without weights has no legend", () => {
  assert.equal(drawn({ text_pair: "other" }).querySelector(".shades, mark"), null);
});
