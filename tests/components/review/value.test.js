// A new number written in the review: where it lies among all, what the field begins with, and what is sent.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";

import { buttonOf, newPlace, press, serve, settled, texts } from "../page.js";

// Only now are style sheets imported as text.
const { mount } = await import("../../../app/components/review/review_queue.js");
const { isAllowed } = await import("../../../app/components/review/keys.js");
const { placeOf } = await import("../../../app/components/preview/value_scale.js");

/** @typedef {import("../../../app/components/sample.js").Sample} Sample */

/** @type {(id: string) => Sample} */
const house = (id) => ({
  id, given: "1520", predicted: "152", wrong: 0.98, fields: [["rooms", "3"]],
  scale: { low: 100, high: 300, bars: [0.5, 1, 0.25], given: 1520, suggested: 152, words: ["1520", "152"] },
}); // prettier-ignore

/** @type {HTMLElement} */
let place;
/** @type {[string, any][]} */
let sent;
let leave = () => {};

beforeEach(async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  sessionStorage.clear();
  place = newPlace();
  sent = [];
  const data = {
    acked: [], order: ["a", "b"], errors: {}, samples: [house("a"), house("b")], progress: { done: 0, total: 2 },
    classes: null, actions: ["keep", "relabel", "remove", "unsure", "change"], height: 500, store: "values",
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
const field = () => /** @type {HTMLInputElement} */ (place.querySelector(".new-value input"));
const isOpen = () => !(/** @type {HTMLElement} */ (place.querySelector(".new-value")).hidden);

describe("a new value", () => {
  it("begins with the suggestion and is sent by Enter", () => {
    press("v");
    assert.ok(isOpen());
    assert.equal(field().value, "152");
    field().value = " 152.5 ";
    press("Enter", field());
    assert.deepEqual(
      pending().map(({ action, label, sample }) => [action, label, sample]),
      [["relabel", "152.5", "a"]],
    );
    assert.ok(!isOpen());
  });

  it("that is no number is not sent, and the field says why", () => {
    press("v");
    field().value = "many";
    press("Enter", field());
    assert.deepEqual(pending(), []);
    assert.ok(isOpen());
    assert.match(texts(place, ".new-value [role=alert]")[0], /not a number/);
    press("Escape", field());
    assert.ok(!isOpen());
  });

  it("as suggested is taken by one key, and no class can be searched", () => {
    press("/");
    press("1");
    press("s");
    assert.deepEqual(
      pending().map(({ action, label }) => [action, label]),
      [["relabel", "152"]],
    );
    assert.ok(buttonOf(place, "vChange"));
    assert.ok(!texts(place, "button").some((text) => text.includes("Search class")));
  });
});

describe("several labels", () => {
  /** @type {Sample} */
  const scene = { id: "a", given: "sea", predicted: "sea | snow", fields: [["a", "1"]] };

  beforeEach(async () => {
    serve({ "/names": ["sea", "city", "snow"] });
    const data = {
      acked: [], order: ["a"], errors: {}, samples: [scene], progress: { done: 0, total: 1 }, classes: "/names",
      actions: ["keep", "relabel", "remove", "unsure", "change"], height: 500, store: "labels",
    }; // prettier-ignore
    leave();
    leave = mount({ parentElement: place, data, setStateValue: (name, value) => sent.push([name, value]) });
    await settled();
  });
  const chips = () => [...place.querySelectorAll(".chip")].map((chip) => chip.getAttribute("aria-pressed"));
  const box = () => /** @type {HTMLElement} */ (place.querySelector(".chips"));

  it("begin with the suggestion, and numbers add and take away", () => {
    press("v");
    assert.deepEqual(chips(), ["true", "false", "true"]);
    press("1", box());
    press("2", box());
    assert.deepEqual(chips(), ["false", "true", "true"]);
    press("Enter", box());
    assert.deepEqual(
      pending().map((/** @type {any} */ { action, label }) => [action, label]),
      [["relabel", "city | snow"]],
    );
  });

  it("can be none", () => {
    press("v");
    press("1", box());
    press("3", box());
    press("Enter", box());
    assert.equal(pending()[0].label, "(none)");
  });

  it("as given are kept", () => {
    press("v");
    press("3", box());
    press("Enter", box());
    assert.equal(pending()[0].action, "keep");
  });
});

describe("keys", () => {
  it("are for numbers or for classes, not for both", () => {
    const actions = ["keep", "relabel", "remove", "unsure"];
    const names = ["change", "suggestion", "class", "search"];
    assert.deepEqual(
      names.filter((name) => isAllowed(name, [...actions, "change"])),
      ["change", "suggestion"],
    );
    assert.deepEqual(
      names.filter((name) => isAllowed(name, actions)),
      ["suggestion", "class", "search"],
    );
  });
});

describe("the scale", () => {
  it("shows all numbers as bars, with a mark for the given and the expected one", () => {
    assert.equal(place.querySelectorAll(".distribution .bars span").length, 3);
    const marks = [...place.querySelectorAll(".distribution .mark")];
    assert.deepEqual(
      marks.map((mark) => mark.getAttribute("style")),
      ["left:100.0%", "left:26.0%"],
    );
    assert.deepEqual(texts(place, ".distribution .what"), ["given 1520", "expected 152"]);
  });

  it("keeps every mark inside", () => {
    assert.deepEqual([placeOf(-5, 0, 10), placeOf(5, 0, 10), placeOf(50, 0, 10), placeOf(3, 3, 3)], [0, 0.5, 1, 0]);
  });
});
