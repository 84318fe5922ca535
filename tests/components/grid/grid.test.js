// A page of the grid: it fills from its file, keys and clicks select, a question comes before every decision.

import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";

import { buttonOf, newPlace, press, serve, settled, texts } from "../page.js";

// Only now are style sheets imported as text.
const { mount } = await import("../../../app/components/grid/sample_grid.js");

/** @typedef {import("../../../app/components/grid/sample_grid.js").GridData} GridData */

const SAMPLES = ["a", "b", "c", "d"].map((id, i) => ({
  id,
  given: "cat",
  predicted: i === 1 ? "cat" : "dog",
  flagged: i === 0,
  text: i === 3 ? "long ".repeat(100) : `text of ${id}`,
}));
const CLASSES = ["cat", "dog", "eel"];
/** @type {GridData["verbs"]} */
const VERBS = ["suggest", "keep", "relabel", "remove", "unsure"];

/** @type {HTMLElement} */
let place;
/** @type {[string, any][]} */
let sent;

/** @param {Partial<GridData>} more */
async function show(more = {}) {
  const rest = { selected: null, verbs: VERBS, total: 4, canOpen: true, size: 112, height: null };
  const data = { page: "/page", ...rest, ...more };
  mount({ parentElement: place, data, setStateValue: (name, value) => sent.push([name, value]) });
  await settled();
  tiles().forEach((tile, i) =>
    Object.defineProperty(tile, "offsetTop", { value: i < 2 ? 0 : 112, configurable: true }),
  );
}

beforeEach(async () => {
  place = newPlace();
  sent = [];
  serve({ "/page": { samples: SAMPLES, classes: CLASSES }, "/empty": { samples: [], classes: CLASSES } });
  await show();
});

/** @returns {HTMLElement[]} */
const tiles = () => [...place.querySelectorAll(".tile")].map((tile) => /** @type {HTMLElement} */ (tile));
const selected = () =>
  tiles().flatMap((tile, i) => (tile.getAttribute("aria-selected") === "true" ? SAMPLES[i].id : []));
const bar = () => texts(place, ".bar .count")[0];

describe("a page", () => {
  it("shows what was given and, where it differs, what is suggested", () => {
    assert.deepEqual(texts(place, ".given"), ["cat", "cat", "cat", "cat"]);
    assert.deepEqual(texts(place, ".predicted"), ["→ dog", "→ dog", "→ dog"]);
    assert.equal(tiles()[0].getAttribute("aria-label"), "a, given cat, predicted dog, flagged");
    assert.ok((tiles()[3].querySelector(".words")?.textContent ?? "").endsWith(" …"));
  });

  it("has one sample a line where it is of texts", async () => {
    assert.equal(place.querySelectorAll(".rows").length, 0);
    await show({ rows: true });
    assert.equal(place.querySelectorAll(".rows .tile").length, 4);
    await show({ rows: false });
    assert.equal(place.querySelectorAll(".rows").length, 0);
  });

  it("is loaded once, whatever else changes", async () => {
    const asked = serve({});
    await show({ size: 200, selected: ["b"] });
    assert.deepEqual([asked, selected()], [[], ["b"]]);
  });

  it("keeps the person's selection until Python sets another", async () => {
    await show({ selected: ["b"] });
    tiles()[2].click();
    await show({ selected: ["b"] });
    assert.deepEqual(selected(), ["b", "c"]);
    await show({ selected: ["d"] });
    assert.deepEqual(selected(), ["d"]);
  });

  it("without samples says so", async () => {
    await show({ page: "/empty" });
    assert.match(place.querySelector(".grid")?.textContent ?? "", /There are no samples here/);
    assert.equal(/** @type {HTMLElement} */ (place.querySelector(".bar")).hidden, true);
    assert.ok(!press("ArrowRight", place.querySelector(".page") ?? place));
  });
});

describe("selecting", () => {
  it("toggles by click and Space, extends with Shift, and takes all or none", () => {
    tiles()[1].click();
    tiles()[3].dispatchEvent(new MouseEvent("click", { bubbles: true, shiftKey: true }));
    assert.deepEqual(selected(), ["b", "c", "d"]);
    assert.equal(bar(), "3 of 4 selected");
    press(" ");
    assert.deepEqual(selected(), ["b", "c"]);
    press("a", undefined, { ctrlKey: true });
    assert.deepEqual(selected(), ["a", "b", "c", "d"]);
    press("Escape");
    assert.deepEqual([selected(), bar()], [[], "4 shown"]);
    buttonOf(place, "Select all on this page").click();
    assert.equal(selected().length, 4);
    buttonOf(place, "Select none").click();
    assert.deepEqual(selected(), []);
  });

  it("takes all of a list that has more pages, until the selection changes", async () => {
    await show({ total: 3908 });
    assert.equal(bar(), "4 of 3,908 shown");
    buttonOf(place, "Select all in this list").click();
    assert.equal(bar(), "3,908 of 3,908 selected");
    press("s", tiles()[0]);
    assert.equal(bar(), "Take suggestions, 3,908 samples?");
    buttonOf(place, "Take suggestions: 3,908 samples").click();
    const [name, { action, every, ids }] = sent[0];
    assert.deepEqual([name, action, every, ids], ["bulk", "suggest", true, []]);
    buttonOf(place, "Select all in this list").click();
    tiles()[0].click();
    assert.equal(bar(), "3 of 4 selected");
  });

  it("offers only what can be decided here", async () => {
    await show({ verbs: ["keep", "remove", "unsure"] });
    tiles()[0].click();
    assert.deepEqual(texts(place, ".bar button"), ["Keep", "Remove", "Mark as unsure", "Select page", "Select none"]);
    press("s");
    press("l");
    assert.equal(bar(), "1 of 4 selected");
  });

  it("moves by the arrows in rows of the page, and opens by Enter", () => {
    tiles()[0].click();
    press("ArrowDown");
    assert.equal(document.activeElement, tiles()[2]);
    press("ArrowRight");
    press("Enter");
    assert.equal(sent[0][0], "open");
    assert.equal(sent[0][1].id, "d");
    assert.deepEqual(
      tiles().map((tile) => tile.tabIndex),
      [-1, -1, -1, 0],
    );
  });
});

describe("a decision", () => {
  it("is asked for with its count, and sent when the person says yes", () => {
    tiles()[0].click();
    tiles()[2].click();
    press("r");
    assert.equal(bar(), "Remove, 2 samples?");
    assert.equal(document.activeElement, buttonOf(place, "Remove: 2 samples"));
    assert.deepEqual(sent, []);
    buttonOf(place, "Remove: 2 samples").click();
    /** @type {Record<string, unknown>} */
    const { id, ...action } = sent[0][1];
    assert.deepEqual([sent[0][0], action], ["bulk", { action: "remove", every: false, ids: ["a", "c"] }]);
    assert.ok(id);
    assert.deepEqual([selected(), bar()], [[], "4 shown"]);
  });

  it("can be taken back before", () => {
    tiles()[0].click();
    press("k");
    buttonOf(place, "Cancel").click();
    assert.deepEqual([sent, selected()], [[], ["a"]]);
    assert.equal(document.activeElement, tiles()[0]);
    press("k");
    tiles()[1].click();
    assert.equal(bar(), "2 of 4 selected", "another click is no yes");
  });

  it("gives a class by its number, by its button, or by search", () => {
    tiles()[0].click();
    press("2");
    assert.match(bar() ?? "", /^Relabel to (cat|dog|eel), 1 sample\?$/);
    buttonOf(place, "Cancel").click();
    buttonOf(place, "Relabel to eel").click();
    buttonOf(place, "Relabel to eel: 1 sample").click();
    assert.deepEqual([sent[0][1].action, sent[0][1].label], ["relabel", "eel"]);
    tiles()[1].click();
    press("l");
    const input = /** @type {HTMLInputElement} */ (place.querySelector("dialog input"));
    input.value = "do";
    input.dispatchEvent(new Event("input"));
    assert.deepEqual(texts(place, "dialog li"), ["dog"]);
    press("Enter", input);
    assert.equal(bar(), "Relabel to dog, 1 sample?");
  });
});

describe("no decision", () => {
  it("is asked for without a selection, or by a number that no class has", () => {
    press("r", tiles()[0]);
    press("9", tiles()[0]);
    assert.equal(bar(), "4 shown");
    tiles()[0].click();
    press("9");
    assert.equal(bar(), "1 of 4 selected");
  });

  it("is possible where nothing can be decided: a click opens", async () => {
    await show({ verbs: [] });
    tiles()[1].click();
    assert.deepEqual([sent[0][0], sent[0][1].id, selected()], ["open", "b", []]);
    press("r", tiles()[1]);
    press(" ", tiles()[1]);
    assert.deepEqual([sent.length, selected()], [1, []]);
  });
});

it("a double click opens where a click selects", () => {
  tiles()[2].dispatchEvent(new MouseEvent("dblclick", { bubbles: true }));
  assert.deepEqual([sent[0][0], sent[0][1].id], ["open", "c"]);
});
