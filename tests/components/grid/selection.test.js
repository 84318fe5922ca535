// The selection of the grid.

import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";

import { questionText } from "../../../app/components/grid/bar.js";
import { Selection } from "../../../app/components/grid/selection.js";

describe("a selection", () => {
  let selection = new Selection();

  beforeEach(() => {
    selection = new Selection();
    selection.setPage(["a", "b", "c", "d"]);
  });

  it("is changed one by one, and listed in the order of the page", () => {
    selection.toggle(2);
    selection.toggle(0);
    assert.deepEqual(selection.ids, ["a", "c"]);
    selection.toggle(2);
    assert.deepEqual(selection.ids, ["a"]);
    selection.toggle(9);
    assert.equal(selection.size, 1);
  });

  it("extends from where the focus was, in both directions", () => {
    selection.focus(2);
    selection.extend(0);
    assert.deepEqual(selection.ids, ["a", "b", "c"]);
    selection.focus(0, true);
    selection.extend(3);
    assert.equal(selection.size, 4);
    assert.ok(selection.has("d"));
  });

  it("keeps what is on the next page too, and the focus", () => {
    selection.set(["b", "c"]);
    selection.focus(2);
    selection.setPage(["c", "x", "y"]);
    assert.deepEqual(selection.ids, ["c"]);
    assert.equal(selection.size, 1);
    assert.equal(selection.current, 0);
  });

  it("has its focus on the page", () => {
    selection.focus(99);
    assert.equal(selection.current, 3);
    selection.focus(-1);
    assert.equal(selection.current, 0);
  });
});

it("a question names the decision and the class", () => {
  assert.equal(questionText({ action: "unsure" }), "Mark as unsure");
  assert.equal(questionText({ action: "relabel", label: "dog" }), "Relabel to dog");
});
