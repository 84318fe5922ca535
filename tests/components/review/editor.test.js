// A response edited in the review: what the fields do, what is sent, and what stays on screen.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";

import { buttonOf, newPlace, press, settled, texts } from "../page.js";

// Only now are style sheets imported as text.
const { placeName } = await import("../../../app/components/review/editing/changes.js");
const { mount } = await import("../../../app/components/review/review_queue.js");

/** @typedef {import("../../../app/components/sample.js").Sample} Sample */

/** @type {(id: string) => Sample} */
const chat = (id) => ({
  id,
  messages: [["user", "What?"], ["assistant", "This."], ["user", "And?"], ["assistant", "That ends."]],
  responses: [["/messages/1/content", "This."], ["/messages/3/content", "That ends."]],
}); // prettier-ignore

/** @type {HTMLElement} */
let place;
/** @type {[string, any][]} */
let sent;
let leave = () => {};
let order = ["a", "b"];
/** @type {Record<string, Sample>} */
let samples = {};

/** @param {string[]} acked */
function answer(acked = []) {
  const data = {
    acked, order, errors: {}, samples: order.map((id) => samples[id]), progress: { done: 2 - order.length, total: 2 },
    classes: null, actions: ["keep", "edit", "remove", "unsure"], height: 500, store: "edits",
  }; // prettier-ignore
  leave = mount({ parentElement: place, data, setStateValue: (name, value) => sent.push([name, value]) });
}

beforeEach(async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  sessionStorage.clear();
  place = newPlace();
  sent = [];
  order = ["a", "b"];
  samples = { a: chat("a"), b: chat("b") };
  answer();
  await settled();
});
afterEach(() => {
  place.remove();
  leave();
  mock.timers.reset();
});

/** @returns {any[]} the events of the last message */
const pending = () => sent.filter(([name]) => name === "events").at(-1)?.[1].events ?? [];
const fields = () =>
  [...place.querySelectorAll(".editor textarea")].map((box) => /** @type {HTMLTextAreaElement} */ (box));
const state = () => texts(place, ".state")[0];

/**
 * @param {HTMLTextAreaElement} box
 * @param {string} text
 */
function type(box, text) {
  box.value = text;
  box.dispatchEvent(new Event("input", { bubbles: true }));
}

/**
 * @param {HTMLTextAreaElement} box
 * @param {string} key
 * @param {KeyboardEventInit} more
 */
function pressIn(box, key, more = {}) {
  box.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, composed: true, cancelable: true, ...more }));
}

describe("the fields", () => {
  it("open by a key or a click, with the texts of the model's turns", () => {
    assert.equal(fields().length, 0);
    press("e");
    assert.deepEqual(fields().map((box) => box.value), ["This.", "That ends."]); // prettier-ignore
    assert.deepEqual(texts(place, ".editor h3"), ["messages, turn 2", "messages, turn 4"]);
    pressIn(fields()[0], "Escape");
    assert.equal(fields().length, 0);
    buttonOf(place, "eEdit").click();
    assert.equal(fields().length, 2);
  });

  it("show what differs from the original as it is typed, and take it back", () => {
    press("e");
    type(fields()[1], "That goes on.");
    assert.deepEqual([texts(place, ".diff del"), texts(place, ".diff ins")], [["ends"], ["goes on"]]);
    const restore = [...place.querySelectorAll(".field")][1].querySelector("button");
    restore?.click();
    assert.equal(fields()[1].value, "That ends.");
    assert.deepEqual(texts(place, ".diff"), []);
  });

  it("keep what was typed when they are left", () => {
    press("e");
    type(fields()[0], "Half");
    pressIn(fields()[0], "Escape");
    assert.deepEqual(pending(), []);
    press("e");
    assert.equal(fields()[0].value, "Half");
  });

  it("go away with their sample", () => {
    press("e");
    order = ["b"];
    answer();
    assert.equal(fields().length, 0);
  });
});

describe("an edit", () => {
  it("is saved by Ctrl+Enter, with what differs and no more", () => {
    press("e");
    type(fields()[1], "That goes on.");
    pressIn(fields()[1], "Enter");
    assert.deepEqual(pending(), [], "Enter is a new line");
    pressIn(fields()[1], "Enter", { ctrlKey: true });
    const [{ action, sample, edit }] = pending();
    assert.deepEqual({ action, sample, edit }, { action: "edit", sample: "a", edit: [["/messages/3/content", "That goes on."]] }); // prettier-ignore
    order = ["b"];
    answer(pending().map(({ id }) => id));
    assert.equal(state(), "Saved.");
    press("ArrowLeft");
    assert.deepEqual([texts(place, ".changes del"), texts(place, ".changes ins")], [["ends"], ["goes on"]]);
    assert.ok(texts(place, ".facts").includes("Decided: edited"));
    press("e");
    assert.deepEqual(fields().map((box) => box.value), ["This.", "That goes on."]); // prettier-ignore
  });

  it("that changes nothing is not written", () => {
    press("e");
    pressIn(fields()[0], "Enter", { metaKey: true });
    assert.deepEqual(pending(), []);
    assert.match(state() ?? "", /as it was/);
  });

  it("needs a response", () => {
    samples.a = { id: "a", text: "long" };
    answer();
    press("e");
    assert.equal(fields().length, 0);
    assert.match(state() ?? "", /no response to edit/);
  });
});

describe("without classes", () => {
  it("nothing is offered that needs them", () => {
    const names = texts(place, ".action").map((text) => text?.slice(1));
    assert.deepEqual(names, ["Keep", "Edit", "Remove", "Unsure", "Undo", "Redo", "Note", "Keys", "Saliency"]);
    press("s");
    press("Enter");
    press("3");
    press("/");
    press("x");
    assert.deepEqual(pending(), []);
    assert.ok(!texts(place, ".sheet th").includes("Enter or s"));
    assert.ok(texts(place, ".sheet th").includes("e"));
  });
});

it("a place is said as a person says it", () => {
  assert.equal(placeName("/messages/4/content"), "messages, turn 5");
  assert.equal(placeName("/a~1b~0c"), "a/b~c");
});
