// Tags of words in the review: what is marked, what the choices begin with, and what is sent.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";

import { newPlace, press, serve, settled, texts } from "../page.js";

// Only now are style sheets imported as text.
const { mount } = await import("../../../app/components/review/review_queue.js");
const { kindOf } = await import("../../../app/components/preview/tags.js");

/** @typedef {import("../../../app/components/sample.js").Sample} Sample */

const NAMES = ["O", "B-PER", "B-LOC", "I-LOC"];
const CLASSES = "/media/tags.json";

/** @type {(id: string) => Sample} */
const sentence = (id) => ({
  id, predicted: "B-PER | O | B-LOC | I-LOC", wrong: 0.9,
  tags: {
    words: ["Ann", "left", "New", "York"], given: ["B-PER", "O", "O", "I-LOC"], doubts: [[2, "B-LOC", 0.9]],
  },
}); // prettier-ignore

/** @type {HTMLElement} */
let place;
/** @type {[string, any][]} */
let sent;
let leave = () => {};

beforeEach(async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  sessionStorage.clear();
  serve({ [CLASSES]: NAMES });
  place = newPlace();
  sent = [];
  const data = {
    acked: [], order: ["a", "b"], errors: {}, samples: [sentence("a"), sentence("b")], progress: { done: 0, total: 2 },
    classes: CLASSES, actions: ["keep", "relabel", "remove", "unsure", "change"], height: 500, store: "tags",
  }; // prettier-ignore
  leave = mount({ parentElement: place, data, setStateValue: (name, value) => sent.push([name, value]) });
  await settled();
});
afterEach(() => {
  place.remove();
  leave();
  mock.timers.reset();
});

/** @returns {any[]} the events of the last message */
const pending = () => sent.filter(([name]) => name === "events").at(-1)?.[1].events ?? [];
const fields = () => /** @type {HTMLSelectElement[]} */ ([...place.querySelectorAll(".word-tags select")]);

describe("a sentence with tags", () => {
  it("shows each word with its tag as text, and marks the doubtful one", () => {
    assert.deepEqual(texts(place, ".tagged .word .tag"), ["B-PER", "O", "O", "I-LOC"]);
    assert.equal(place.querySelectorAll(".tagged .doubtful.worst").length, 1);
    assert.deepEqual(texts(place, ".tagged .instead"), ["B-LOC? 90 %"]);
    assert.deepEqual(texts(place, ".panel dd"), ["O → B-LOC 90 %"]);
  });

  it("takes the suggestion by one key", () => {
    press("s");
    assert.deepEqual(
      pending().map(({ action, label, sample }) => [action, label, sample]),
      [["relabel", "B-PER | O | B-LOC | I-LOC", "a"]],
    );
  });

  it("offers every word's tag, beginning at the doubtful one, and sends all of them", () => {
    press("v");
    assert.deepEqual(
      fields().map((field) => field.value),
      ["B-PER", "O", "B-LOC", "I-LOC"],
    );
    assert.equal(document.activeElement, fields()[2]);
    fields()[0].value = "O";
    press("Enter", fields()[0]);
    assert.equal(pending().at(-1).label, "O | O | B-LOC | I-LOC");
  });

  it("changes nothing when it is left", () => {
    press("v");
    press("Escape", fields()[0]);
    assert.deepEqual(pending(), []);
  });
});

it("colours the parts of an entity alike", () => {
  assert.deepEqual(["B-LOC", "I-LOC", "O", "NN", "B-"].map(kindOf), ["LOC", "LOC", "O", "NN", ""]);
});
