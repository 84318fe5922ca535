// What an edit changed, word by word.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { wordDiff } from "../../../app/components/review/editing/diff.js";

/**
 * In short: +added, -removed.
 *
 * @param {string} before
 * @param {string} after
 */
function short(before, after) {
  const marks = { same: "", added: "+", removed: "-" };
  return wordDiff(before, after).map(({ kind, text }) => marks[kind] + text);
}

describe("the difference of two texts", () => {
  it("is in words, what goes before what comes", () => {
    assert.deepEqual(short("the cat sat", "the dog sat"), ["the ", "-cat", "+dog", " sat"]);
    assert.deepEqual(short("a b c d", "a c d e"), ["a ", "-b ", "c d", "+ e"]);
  });

  it("is nothing where nothing changed, and all where all did", () => {
    assert.deepEqual(short("same", "same"), ["same"]);
    assert.deepEqual(short("", ""), []);
    assert.deepEqual(short("", "new"), ["+new"]);
    assert.deepEqual(short("old", ""), ["-old"]);
  });

  it("keeps letters of every script whole", () => {
    assert.deepEqual(short("мир 你好", "мир 再见"), ["мир ", "-你好", "+再见"]);
    assert.deepEqual(short("👍 ok", "👎 ok"), ["-👍", "+👎", " ok"]);
  });

  it("gives both texts back", () => {
    const texts = ["", "one two, three\n", "two three three four", "x".repeat(50), "a a a b a b b a", "b a a b a b"];
    for (const before of texts) {
      for (const after of texts) {
        const parts = wordDiff(before, after);
        const side = (/** @type {string} */ other) => parts.map((part) => (part.kind === other ? "" : part.text));
        assert.equal(side("added").join(""), before);
        assert.equal(side("removed").join(""), after);
      }
    }
  });

  it("of very long texts is the changed middle as a whole", () => {
    const words = (/** @type {string} */ word) => Array.from({ length: 3000 }, (_, i) => `${word}${i}`).join(" ");
    const parts = wordDiff(`start ${words("a")} end`, `start ${words("b")} end`);
    assert.deepEqual(
      parts.map(({ kind }) => kind),
      ["same", "removed", "added", "same"],
    );
  });
});
