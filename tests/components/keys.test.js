// Keys of the review and of the grid.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { gridCommand } from "../../app/components/grid/keys.js";
import { commandOf, isAllowed, MEANINGS } from "../../app/components/review/keys.js";

const NO_KEYS = { shiftKey: false, ctrlKey: false, metaKey: false, altKey: false };

describe("keys of the review", () => {
  const press = (/** @type {string} */ key, more = {}) => commandOf({ ...NO_KEYS, key, ...more });
  const name = (/** @type {string} */ key, more = {}) => press(key, more)?.name;

  it("decide", () => {
    const keys = ["k", "K", "s", "Enter", "r", "Delete", "u"];
    const expected = ["keep", "keep", "suggestion", "suggestion", "remove", "remove", "unsure"];
    assert.deepEqual(
      keys.map((key) => name(key)),
      expected,
    );
    assert.deepEqual(press("3"), { name: "class", key: "3" });
  });

  it("edit and swap", () => {
    assert.deepEqual([name("e"), name("x")], ["edit", "swap"]);
  });

  it("mean nothing where there is nothing to decide by them", () => {
    const chat = ["keep", "edit", "remove", "unsure"];
    const names = ["keep", "suggestion", "class", "search", "edit", "swap", "undo", "help"];
    assert.deepEqual(
      names.filter((name) => isAllowed(name, chat)),
      ["keep", "edit", "undo", "help"],
    );
    assert.ok(isAllowed(undefined, chat));
    const listed = MEANINGS.filter(([, , command]) => isAllowed(command, ["keep", "relabel"])).map(([keys]) => keys);
    assert.ok(listed.includes("Enter or s") && !listed.includes("e"));
  });

  it("show a picture better", () => {
    assert.deepEqual([name("c"), name("o"), name("+"), name("-")], ["contrast", "overlay", "zoom", "zoom"]);
    const [closer, wider] = [press("+"), press("-")];
    assert.ok(closer?.name === "zoom" && wider?.name === "zoom" && Math.abs(closer.factor * wider.factor - 1) < 1e-12);
  });

  it("undo and redo as editors do", () => {
    assert.deepEqual([name("z"), name("Z", { shiftKey: true })], ["undo", "redo"]);
    assert.deepEqual([name("z", { ctrlKey: true }), name("Z", { ctrlKey: true, shiftKey: true })], ["undo", "redo"]);
    assert.deepEqual([name("z", { metaKey: true }), name("y", { ctrlKey: true })], ["undo", "redo"]);
  });

  it("leave the browser's own alone", () => {
    assert.equal(press("r", { ctrlKey: true }), null);
    assert.equal(press("ArrowLeft", { altKey: true }), null);
    assert.equal(press("1", { ctrlKey: true }), null);
    assert.equal(press("y"), null);
  });

  it("are all listed", () => {
    const listed = MEANINGS.flatMap(([keys]) => keys.split(" "));
    for (const key of ["k", "Enter", "s", "/", "r", "Delete", "u", "n", "o", "c", "+", "-", "z", "?"]) {
      assert.ok(press(key), key);
      assert.ok(listed.includes(key), key);
    }
  });
});

describe("keys of the grid", () => {
  const press = (/** @type {string} */ key, more = {}) =>
    gridCommand({ ...NO_KEYS, key, ...more }, { current: 7, count: 12, perRow: 5 });

  it("move within the page", () => {
    const to = (/** @type {string} */ key) => {
      const command = press(key);
      return command?.name === "go" ? command.to : null;
    };
    const keys = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"];
    assert.deepEqual(keys.map(to), [6, 8, 2, 11, 0, 11]);
    assert.deepEqual(press("ArrowUp", { shiftKey: true }), { name: "go", to: 2, extends: true });
  });

  it("select", () => {
    assert.deepEqual(press(" "), { name: "toggle" });
    assert.deepEqual(press("a", { ctrlKey: true }), { name: "all" });
    assert.deepEqual(press("Escape"), { name: "none" });
    assert.equal(press("a"), null);
  });

  it("give a class by its number", () => {
    assert.deepEqual(press("3"), { name: "class", key: "3" });
    assert.equal(press("3", { ctrlKey: true }), null);
  });

  it("ask to decide, but not with Ctrl", () => {
    assert.deepEqual(press("l"), { name: "ask", verb: "relabel" });
    assert.deepEqual(press("s"), { name: "ask", verb: "suggest" });
    assert.equal(press("r", { ctrlKey: true }), null);
    assert.equal(press("k", { altKey: true }), null);
  });
});
