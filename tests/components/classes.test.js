// Which classes match what is typed, and which have a number key.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { likelyFirst, matchingClasses, numberedClasses, numberedOnPage } from "../../app/components/classes.js";

describe("a search", () => {
  const classes = ["Wildcat", "cat", "dog", "Catfish"];

  it("puts names that begin with it first", () => {
    assert.deepEqual(matchingClasses(classes, " CAT "), ["cat", "Catfish", "Wildcat"]);
  });

  it("for nothing shows all in their order, at most fifty", () => {
    assert.deepEqual(matchingClasses(classes, ""), classes);
    assert.equal(
      matchingClasses(
        Array.from({ length: 80 }, (_, i) => `c${i}`),
        "c",
      ).length,
      50,
    );
  });

  it("for what is not there shows none", () => assert.deepEqual(matchingClasses(classes, "cow"), []));
});

describe("number keys", () => {
  /** @type {[string, number][]} */
  const probabilities = [
    ["c5", 0.6],
    ["c7", 0.3],
    ["c1", 0.1],
  ];
  const sample = { id: "s", given: "c90", predicted: "c5", probabilities };
  const keysOf = (/** @type {string[]} */ classes) =>
    numberedClasses(sample, classes).map(({ key, name }) => `${key} ${name}`);

  it("belong to up to ten classes, zero to the tenth", () => {
    const ten = Array.from({ length: 10 }, (_, i) => `c${i}`);
    assert.deepEqual(keysOf(ten).slice(0, 2), ["1 c0", "2 c1"]);
    assert.equal(keysOf(ten)[9], "0 c9");
  });

  it("are the digits themselves where these are the classes", () => {
    assert.deepEqual(keysOf(["0", "1", "7"]), ["0 0", "1 1", "7 7"]);
    assert.deepEqual(keysOf(["zero", "One", "nine"]), ["0 zero", "1 One", "9 nine"]);
    assert.deepEqual(keysOf(["one", "1"]), ["1 one", "2 1"], "two classes have no key in common");
    assert.deepEqual(keysOf(["zero", "other"]), ["1 zero", "2 other"]);
  });

  it("on a page of many classes belong to those suggested most often", () => {
    const hundred = Array.from({ length: 100 }, (_, i) => `c${i}`);
    const page = ["c9", "c4", "c9", undefined].map((predicted, i) => ({ id: String(i), predicted }));
    assert.deepEqual(
      numberedOnPage(page, hundred)
        .slice(0, 3)
        .map(({ key, name }) => `${key} ${name}`),
      ["1 c9", "2 c4", "3 c0"],
    );
    assert.equal(numberedOnPage(page, ["cat", "dog"]).length, 2);
  });

  it("of many classes belong to the suggestion, the likely ones and the given label", () => {
    const hundred = Array.from({ length: 100 }, (_, i) => `c${i}`);
    const keys = keysOf(hundred);
    assert.deepEqual(keys.slice(0, 4), ["1 c5", "2 c7", "3 c1", "4 c90"]);
    assert.equal(keys.length, 9);
    assert.equal(numberedClasses(undefined, hundred).length, 9);
  });
});

it("a search begins with the likely classes", () => {
  const sample = {
    id: "s",
    probabilities: /** @type {[string, number][]} */ ([
      ["dog", 0.9],
      ["cat", 0.1],
    ]),
  };
  assert.deepEqual(likelyFirst(sample, ["bird", "cat", "dog"]), ["dog", "cat", "bird"]);
});
