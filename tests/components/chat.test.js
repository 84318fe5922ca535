// A chat whose tokens are shaded by their losses.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import "./page.js";

const { samplePreview } = await import("../../app/components/sample_preview.js");

/** @type {[string, string][]} */
const messages = [
  ["user", "Say <b>hi</b>"],
  ["assistant", "Hi 🐈 you"],
];

/** @param {[number, number, number, number][]} heat */
const drawn = (heat) => {
  const place = document.createElement("div");
  place.append(...samplePreview({ id: "r1", messages, heat, heat_note: "Together 9.0." }));
  return place;
};

describe("a chat with the losses of its tokens", () => {
  const place = drawn([
    [1, 0, 2, 0],
    [1, 3, 4, 3],
    [1, 4, 8, 60],
  ]);
  const marks = [...place.querySelectorAll("ol mark")];

  it("shades each token where it stands", () => {
    assert.deepEqual(
      marks.map((mark) => mark.textContent),
      ["Hi", "🐈", " you"],
    );
    assert.equal(place.querySelectorAll("li")[1].lastElementChild?.textContent, "Hi 🐈 you");
  });

  it("shades a larger loss more, up to a full shade", () => {
    const weights = marks.map((mark) => Number(/--weight:([\d.]+)/.exec(mark.getAttribute("style") ?? "")?.[1]));
    assert.deepEqual(weights, [0, 0.3, 0.6]);
  });

  it("says the loss and the probability of a token", () => {
    assert.equal(marks[1].getAttribute("title"), "loss 3.00, probability 5.0 %");
  });

  it("shades nothing of another message, and reads nothing as markup", () => {
    const prompt = place.querySelector("li");
    assert.equal(prompt?.querySelector("mark, b"), null);
    assert.match(prompt?.textContent ?? "", /Say <b>hi<\/b>/);
  });

  it("has a legend with what else is to be said", () => {
    assert.match(
      place.querySelector(".shades")?.textContent ?? "",
      /Loss of each token .* 6 {2}or more\. Together 9\.0\./,
    );
  });
});

it("a chat without losses has no legend", () => {
  const place = document.createElement("div");
  place.append(...samplePreview({ id: "r1", messages }));
  assert.equal(place.querySelector(".shades, mark"), null);
});
