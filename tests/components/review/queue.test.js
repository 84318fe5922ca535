// The review's queue: which sample a press is for, and that none is lost.

import assert from "node:assert/strict";
import { beforeEach, describe, it, mock } from "node:test";

import { ReviewEvents } from "../../../app/components/review/events.js";
import { Queue } from "../../../app/components/review/queue.js";

/** @typedef {import("../../../app/components/review/events.js").ReviewEvent} ReviewEvent */

/** @type {Map<string, string>} */
let stored;
/** @type {ReviewEvent[][]} */
let messages;
/** @type {string[]} */
let complaints;
/** @type {ReviewEvents} */
let events;
/** @type {Queue} */
let queue;

const store = {
  getItem: (/** @type {string} */ name) => stored.get(name) ?? null,
  setItem: (/** @type {string} */ name, /** @type {string} */ value) => stored.set(name, value),
  removeItem: (/** @type {string} */ name) => stored.delete(name),
};

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  stored = new Map();
  messages = [];
  complaints = [];
  events = openEvents();
  queue = new Queue(events, (text) => complaints.push(text));
  answer(["a", "b", "c"]);
});

function openEvents() {
  return new ReviewEvents(
    "test",
    (pending) => messages.push([...pending]),
    () => store,
  );
}

/**
 * @param {string[]} order
 * @param {string[]} acked
 * @param {Record<string, string>} errors
 */
function answer(order, acked = [], errors = {}) {
  const samples = order.map((id) => ({ id, given: "cat", predicted: "dog" }));
  queue.update({ samples, order, acked, errors });
}

/** What is on its way, as words. */
function pending() {
  return events.pending.map(({ action, sample, label }) => [action, sample, label].filter(Boolean).join(" "));
}

const ids = () => events.pending.map(({ id }) => id);

describe("presses", () => {
  it("faster than the server are for one sample after the other", () => {
    for (const action of ["keep", "remove", "unsure"]) queue.press({ action });
    assert.deepEqual(pending(), ["keep a", "remove b", "unsure c"]);
    assert.equal(queue.shown, "a");
  });

  it("wait for samples that are not there yet", () => {
    for (let i = 0; i < 5; i++) queue.press({ action: "keep" });
    assert.equal(queue.waiting.length, 2);
    answer(["d", "e"], ids());
    assert.deepEqual(pending(), ["keep d", "keep e"]);
    assert.equal(queue.waiting.length, 0);
  });

  it("are dropped when everything is decided", () => {
    for (let i = 0; i < 4; i++) queue.press({ action: "keep" });
    answer([], ids());
    assert.deepEqual(queue.waiting, []);
  });

  it("take the suggestion, and keep where the class is the given label", () => {
    queue.press({ action: "suggestion" });
    queue.press({ action: "relabel", label: "cat" });
    assert.deepEqual(pending(), ["relabel a dog", "keep b"]);
  });

  it("without a suggestion decide nothing", () => {
    queue.samples.set("a", { id: "a", given: "cat" });
    queue.press({ action: "suggestion" });
    assert.deepEqual(pending(), []);
    assert.deepEqual(complaints, ["There is no suggestion for this sample."]);
  });

  it("after an undo wait for the server's answer", () => {
    queue.press({ action: "keep" });
    queue.press({ action: "undo" });
    queue.press({ action: "remove" });
    assert.deepEqual(pending(), ["keep a", "undo"]);
    answer(["a", "b", "c"], ids());
    assert.deepEqual(pending(), ["remove a"]);
  });

  it("are refused when far too many wait", () => {
    for (let i = 0; i < 600; i++) queue.press({ action: "keep" });
    assert.equal(queue.waiting.length, 500);
    assert.match(complaints[0], /does not answer/);
  });
});

describe("looking back", () => {
  beforeEach(() => {
    queue.press({ action: "keep" });
    queue.press({ action: "remove" });
    answer(["c"], ids());
  });

  it("goes through this session's decisions and forth again", () => {
    queue.look(1);
    assert.equal(queue.shown, "b");
    queue.look(1);
    assert.equal(queue.shown, "a");
    queue.look(1);
    assert.equal(queue.shown, "a");
    assert.equal(complaints.length, 1);
    queue.look(-1);
    queue.look(-1);
    assert.equal(queue.shown, "c");
    assert.equal(queue.isLookingBack, false);
  });

  it("decides again on the sample that is shown, once", () => {
    queue.look(2);
    queue.press({ action: "unsure" });
    queue.press({ action: "keep" });
    assert.deepEqual(pending(), ["unsure a"]);
    answer(["c"], ids());
    assert.deepEqual(pending(), ["keep c"]);
    assert.equal(queue.samples.get("a")?.decision, "unsure");
  });

  it("stays where the server refuses", () => {
    queue.look(1);
    queue.press({ action: "keep" });
    answer(["c"], ids(), { [ids()[0]]: "No." });
    assert.equal(queue.shown, "b");
    assert.deepEqual(complaints, ["No."]);
    assert.equal(queue.samples.get("b")?.decision, "remove");
  });

  it("follows undo and redo", () => {
    queue.press({ action: "undo" });
    answer(["b", "c"], ids());
    assert.equal(queue.samples.get("b")?.decision, undefined);
    queue.look(1);
    assert.equal(queue.shown, "a");
    queue.press({ action: "redo" });
    answer(["c"], ids());
    queue.look(1);
    assert.equal(queue.shown, "b");
  });
});

describe("a note", () => {
  it("goes along with the decision on its sample", () => {
    queue.setNote("a", "blurred");
    queue.press({ action: "remove" });
    assert.equal(events.pending[0].note, "blurred");
    answer(["b", "c"], ids());
    assert.equal(queue.noteOf("a"), "blurred");
    assert.equal(queue.noteOf("b"), "");
  });
});

describe("an edit", () => {
  /** @type {[string, string][]} */
  const edit = [["/messages/1/content", "better"]];

  it("goes to the server for the sample that was edited", () => {
    queue.press({ action: "edit", edit, sample: "a" });
    assert.deepEqual(pending(), ["edit a"]);
    assert.deepEqual(events.pending[0].edit, edit);
  });

  it("stands until it is undone, and stands again when that is taken back", () => {
    queue.press({ action: "edit", edit, sample: "a" });
    answer(["b", "c"], ids());
    assert.deepEqual(queue.samples.get("a")?.edit, edit);
    queue.press({ action: "undo" });
    answer(["a", "b", "c"], ids());
    assert.equal(queue.samples.get("a")?.edit, undefined);
    queue.samples.set("a", { id: "a" });
    queue.press({ action: "redo" });
    answer(["b", "c"], ids());
    assert.deepEqual(queue.samples.get("a")?.edit, edit);
  });

  it("is written again with a later note", () => {
    queue.press({ action: "edit", edit, sample: "a" });
    answer(["b", "c"], ids());
    queue.look(1);
    queue.setNote("a", "checked");
    queue.saveNote("a");
    assert.deepEqual(events.pending[0].edit, edit);
    assert.equal(events.pending[0].note, "checked");
  });
});

describe("a saved note", () => {
  it("waits for the decision to come", () => {
    queue.setNote("a", "blurred");
    queue.saveNote("a");
    assert.deepEqual(pending(), []);
    assert.match(complaints[0], /goes along/);
  });

  it("is written at once with the decision that stands", () => {
    queue.press({ action: "relabel", label: "dog" });
    answer(["b", "c"], ids());
    queue.look(1);
    queue.setNote("a", "blurred");
    queue.saveNote("a");
    assert.deepEqual(pending(), ["relabel a dog"]);
    assert.equal(events.pending[0].note, "blurred");
    answer(["b", "c"], ids());
    assert.equal(queue.noteOf("a"), "blurred");
    assert.equal(queue.shown, "b");
  });

  it("that says what it said before writes nothing", () => {
    queue.press({ action: "keep" });
    answer(["b", "c"], ids());
    queue.saveNote("a");
    assert.deepEqual(pending(), []);
  });
});

describe("events", () => {
  it("are sent again until they are acknowledged", () => {
    queue.press({ action: "keep" });
    const [first] = ids();
    assert.equal(messages.length, 1);
    mock.timers.tick(1600);
    assert.deepEqual(
      messages.map((message) => message.map(({ id }) => id)),
      [[first], [first]],
    );
    answer(["b", "c"], [first]);
    mock.timers.tick(10_000);
    assert.equal(messages.length, 2);
  });

  it("of a page that was reloaded are sent by the next", () => {
    queue.press({ action: "keep" });
    const before = ids();
    events.close();
    const next = openEvents();
    mock.timers.tick(300);
    assert.deepEqual(
      next.pending.map(({ id }) => id),
      before,
    );
    assert.equal(messages.length, 2);
    next.acknowledge(before);
    assert.equal(stored.size, 0);
  });

  it("do without a store", () => {
    const forbidden = () => {
      throw new Error("forbidden");
    };
    const lone = new ReviewEvents("x", () => {}, forbidden);
    lone.add({ action: "keep", sample: "a" });
    assert.ok(lone.has("a"));
  });
});

it("memory does not grow: samples that are neither open nor decided lately are dropped", () => {
  queue.press({ action: "keep" });
  answer(["c"], ids());
  assert.deepEqual([...queue.samples.keys()].sort(), ["a", "c"]);
});
