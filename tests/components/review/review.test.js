// The review as a person uses it: what the keys do, what is sent, and what is on screen meanwhile.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";

import { buttonOf, newPlace, press, serve, settled, texts, turnWheel } from "../page.js";

// Only now are style sheets imported as text.
const { mount } = await import("../../../app/components/review/review_queue.js");

/** @typedef {import("../../../app/components/sample.js").Sample} Sample */

const PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACw=";
/** @type {Record<string, Sample>} */
const SAMPLES = {
  a: {
    id: "a", given: "cat", predicted: "dog", text: "first", position: "1 of 3", why: "Looks like dog.", wrong: 0.97,
    percentile: 99.14, flagged: true, finding: "likely mislabelled", probabilities: [["dog", 0.9], ["cat", 0.1]],
  },
  b: { id: "b", given: "dog", predicted: "dog", image: PIXEL, overlay: PIXEL, position: "2 of 3" },
  c: { id: "c", given: "cat", predicted: "dog", text: "third", position: "3 of 3", note: "seen before" },
}; // prettier-ignore

/** @type {HTMLElement} */
let place;
/** @type {[string, any][]} */
let sent;
let leave = () => {};
let order = ["a", "b", "c"];

/** @param {{ acked?: string[], errors?: Record<string, string>, have?: string[] }} answer */
function answer({ acked = [], errors = {}, have = [] } = {}) {
  const samples = order.filter((id) => !have.includes(id)).map((id) => SAMPLES[id]);
  const progress = { done: 3 - order.length, total: 3, text: "9 a minute" };
  const data = { acked, errors, order, samples, progress, classes: "/classes", height: 500, store: "test" };
  leave = mount({ parentElement: place, data, setStateValue: (name, value) => sent.push([name, value]) });
}

/** The server takes what was sent: those samples are decided. */
function acknowledge() {
  const events = pending();
  order = order.filter((id) => !events.some((/** @type {any} */ event) => event.sample === id));
  answer({ acked: events.map((/** @type {any} */ event) => event.id) });
}

beforeEach(async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  sessionStorage.clear();
  localStorage.clear();
  place = newPlace();
  sent = [];
  order = ["a", "b", "c"];
  serve({ "/classes": ["cat", "dog", "eel"] });
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
/** @returns {string[]} */
const words = () =>
  pending().map((/** @type {any} */ event) => [event.action, event.sample, event.label].filter(Boolean).join(" "));
const position = () => texts(place, ".position")[0];
const state = () => texts(place, ".state")[0];

describe("a sample", () => {
  it("stands there with its labels, chances, reason and place in the queue", () => {
    assert.equal(position(), "1 of 3 · a");
    assert.deepEqual(texts(place, "dd"), ["cat 10 %", "dog 90 %"]);
    assert.deepEqual(texts(place, ".why"), ["Looks like dog."]);
    assert.deepEqual(texts(place, ".facts"), [
      "likely mislabelled · label 97 % likely wrong · percentile 99.1 · flagged",
    ]);
    assert.deepEqual(texts(place, ".text"), ["first"]);
    assert.match(texts(place, ".progress")[0] ?? "", /^0 of 3 decided · 0 %9 a minute$/);
    const chances = texts(place, ".classes .chance");
    const named = texts(place, ".classes .name").map((name, i) => `${name} ${chances[i]}`);
    assert.deepEqual(named.sort(), ["cat 10 %", "dog 90 %", "eel "]);
  });

  it("is where the person rests only after a moment, and when all is saved", () => {
    mock.timers.tick(599);
    assert.equal(sent.length, 0);
    mock.timers.tick(1);
    assert.deepEqual(sent, [["resting", "a"]]);
    press("k");
    mock.timers.tick(600);
    assert.equal(sent.filter(([name]) => name === "resting").length, 1);
  });
});

describe("a key", () => {
  it("decides; the server's answer says that it is saved, and shows the next", () => {
    assert.ok(press("k"));
    assert.deepEqual(words(), ["keep a"]);
    assert.equal(position(), "1 of 3 · a", "the next shows when this one is on disk");
    assert.equal(state(), "Saving.");
    acknowledge();
    assert.equal(position(), "2 of 3 · b");
    assert.equal(state(), "Saved.");
    assert.match(texts(place, ".progress")[0] ?? "", /^1 of 3 decided/);
  });

  it("takes the suggestion, a class by its number, or removes", () => {
    press("Enter");
    press("r");
    press("u");
    assert.deepEqual(words(), ["relabel a dog", "remove b", "unsure c"], "none waits for the screen");
    acknowledge();
    assert.deepEqual(texts(place, ".empty"), ["There is nothing left for you in this queue."]);
  });

  it("means the class that has the number on screen", () => {
    const names = texts(place, ".classes .name");
    const keys = texts(place, ".classes kbd");
    press(String(keys[names.indexOf("eel")]));
    press("9");
    assert.deepEqual(words(), ["relabel a eel"]);
    assert.equal(state(), "No class has the key 9.");
  });

  it("held down decides once, but looks back on and on", () => {
    press("k");
    press("k", undefined, { repeat: true });
    assert.deepEqual(words(), ["keep a"]);
    acknowledge();
    press("ArrowLeft", undefined, { repeat: true });
    assert.equal(position(), "looking back · 1 of 3 · a");
    press("ArrowRight");
    assert.equal(position(), "2 of 3 · b");
  });
});

describe("a key that counts elsewhere", () => {
  it("is left to a field that is typed into, and to other parts of the page where the person wants that", () => {
    const field = document.createElement("input");
    document.body.append(field);
    assert.ok(!press("k", field));
    const box = /** @type {HTMLInputElement} */ (place.querySelector(".sheet input"));
    assert.ok(box.checked);
    assert.ok(press("k", document.body));
    const link = document.createElement("a");
    document.body.append(link);
    assert.ok(press("k", link), "the link to this page keeps the focus");
    assert.ok(!press("Enter", link));
    link.remove();
    box.checked = false;
    box.dispatchEvent(new Event("change"));
    assert.ok(!press("k", document.body));
    assert.equal(localStorage.getItem("oga-review-keys-anywhere"), "no");
    field.remove();
  });

  it("opens the list of keys, and Escape closes it", () => {
    press("?");
    const sheet = /** @type {HTMLDialogElement} */ (place.querySelector("dialog.sheet"));
    assert.ok(sheet.open);
    assert.ok(!press("k", sheet.querySelector("button") ?? sheet), "keys do not decide meanwhile");
    press("Escape", sheet);
    assert.ok(!sheet.open);
    assert.deepEqual(words(), []);
  });
});

describe("what comes back from the server", () => {
  it("is sent again while there is no answer, under the same identifiers", () => {
    press("k");
    const [first] = pending();
    mock.timers.tick(1500);
    assert.equal(sent.filter(([name]) => name === "events").length, 2);
    assert.deepEqual(pending(), [first]);
    acknowledge();
    mock.timers.tick(5000);
    assert.equal(sent.filter(([name]) => name === "events").length, 2);
  });

  it("may be a refusal: the person reads why", () => {
    press("k");
    const [{ id }] = pending();
    answer({ acked: [id], errors: { [id]: "The class is gone." } });
    assert.match(state() ?? "", /The class is gone\./);
  });

  it("survives a reload of the page", () => {
    press("k");
    place.remove();
    leave();
    mock.timers.tick(1000);
    place = newPlace();
    sent = [];
    answer();
    mock.timers.tick(200);
    assert.deepEqual(words(), ["keep a"]);
  });

  it("may lack a sample: it is asked for once, and shown when it has come", () => {
    order = ["d", "a"];
    answer({ have: ["d"] });
    assert.equal(texts(place, ".empty")[0], "Loading …");
    assert.equal(sent.length, 1);
    answer({ have: ["d"] });
    assert.equal(sent.length, 1);
    SAMPLES.d = { id: "d", given: "cat", text: "fourth", position: "4 of 4" };
    answer();
    assert.equal(position(), "4 of 4 · d");
    delete SAMPLES.d;
  });
});

describe("a note", () => {
  it("is typed without deciding, goes with the verdict, and Escape takes it back", () => {
    press("n");
    const note = /** @type {HTMLTextAreaElement} */ (place.querySelector("textarea"));
    assert.equal(document.activeElement, note);
    assert.ok(!press("k", note));
    note.value = "two cats";
    note.dispatchEvent(new Event("input"));
    press("Escape", note);
    assert.equal(note.value, "");
    press("n");
    note.value = "one cat";
    note.dispatchEvent(new Event("input"));
    buttonOf(place, "kKeep").click();
    assert.deepEqual([pending()[0].action, pending()[0].note], ["keep", "one cat"]);
  });

  it("that is there already shows", () => {
    order = ["c"];
    answer();
    const note = /** @type {HTMLTextAreaElement} */ (place.querySelector("textarea"));
    assert.deepEqual([note.value, note.hidden], ["seen before", false]);
  });
});

describe("a picture", () => {
  beforeEach(() => {
    order = ["b"];
    answer();
  });
  const picture = () => /** @type {HTMLElement} */ (place.querySelector(".picture"));

  it("is zoomed by keys and buttons, moved on by the wheel, and raised in contrast", () => {
    press("+");
    assert.equal(picture().style.getPropertyValue("--zoom"), "1.5");
    buttonOf(place, "Zoom out (-)").click();
    assert.equal(picture().style.getPropertyValue("--zoom"), "1");
    assert.ok(!turnWheel(picture(), 100), "whole already: the page scrolls on");
    assert.ok(turnWheel(picture(), -100));
    assert.ok(picture().classList.contains("zoomed"));
    picture().dispatchEvent(new MouseEvent("dblclick"));
    assert.ok(!picture().classList.contains("zoomed"));
    const before = picture().style.getPropertyValue("--contrast");
    press("c");
    assert.notEqual(picture().style.getPropertyValue("--contrast"), before);
  });

  it("shows its saliency when it is asked for, not before", () => {
    assert.equal(picture().querySelectorAll("img").length, 1);
    press("o");
    assert.equal(picture().querySelectorAll("img").length, 2);
    press("o");
    assert.equal(picture().querySelectorAll("img").length, 1);
  });
});

it("a searched class is for the sample that was looked at", () => {
  press("/");
  const input = /** @type {HTMLInputElement} */ (place.querySelector("dialog.search input"));
  assert.deepEqual(texts(place, "dialog.search li")[0], "dog", "the likely ones come first");
  press("ArrowUp", input);
  press("Enter", input);
  assert.equal(pending()[0].sample, "a");
  assert.equal(pending()[0].label, texts(place, "dialog.search li").at(-1));
});

it("undo waits for its answer, and the sample comes back", () => {
  press("k");
  acknowledge();
  press("z");
  assert.deepEqual(words(), ["undo"]);
  const [{ id }] = pending();
  order = ["a", "b", "c"];
  answer({ acked: [id] });
  assert.equal(position(), "1 of 3 · a");
});
