// Samples as words, shaded texts, and numbers as a person reads them.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { count, cut, joined, likelyWrong, number, percent, share } from "../../app/components/format.js";
import { shadedParts, wordsOf } from "../../app/components/sample.js";
import { css, fromHex, isDark } from "../../app/components/theme.js";

describe("a shaded text", () => {
  it("comes in parts, in order", () => {
    const parts = shadedParts("a good day", [
      [7, 10, -0.2],
      [2, 6, 0.9],
    ]);
    assert.deepEqual(parts, [
      { text: "a ", weight: null },
      { text: "good", weight: 0.9 },
      { text: " ", weight: null },
      { text: "day", weight: -0.2 },
    ]);
  });

  it("counts letters as Python does, not UTF-16 units", () => {
    const [, part] = shadedParts("🐈 cat", [[2, 5, 1]]);
    assert.equal(part.text, "cat");
  });

  it("leaves out parts that overlap or are empty, and loses no letter", () => {
    const parts = shadedParts("abcdef", [
      [0, 4, 1],
      [2, 6, 1],
      [5, 5, 1],
    ]);
    assert.equal(parts.map(({ text }) => text).join(""), "abcdef");
    assert.equal(parts.filter(({ weight }) => weight !== null).length, 1);
  });
});

it("a sample's words are its text, its chat or its fields", () => {
  assert.equal(wordsOf({ id: "a", text: "x" }, "\n"), "x");
  assert.equal(
    wordsOf(
      {
        id: "a",
        messages: [
          ["user", "hi"],
          ["assistant", "ho"],
        ],
      },
      "|",
    ),
    "user: hi|assistant: ho",
  );
  assert.equal(wordsOf({ id: "a", fields: [["age", "41"]] }, "|"), "age: 41");
  assert.equal(wordsOf({ id: "a" }, "|"), undefined);
});

it("numbers are short, and rounding says neither none nor all", () => {
  assert.equal(count(1234567), "1,234,567");
  assert.deepEqual([share(1, 3), share(1, 300), share(0, 0)], ["33.3 %", "0.33 %", "0 %"]);
  assert.deepEqual([percent(0.5), percent(0.999), percent(0.004), percent(0.1)], ["50 %", "99.9 %", "0.4 %", "10 %"]);
  const told = [0.99, 0.999, 0.012, 0.004].map((value) => likelyWrong(value).replace(" likely wrong", ""));
  assert.deepEqual(told, ["99 %", "over 99 %", "1.2 %", "under 1 %"]);
  assert.deepEqual([number(1234.567), number(1e-9), number(-Infinity)], ["1235", "1e-9", "−∞"]);
  assert.deepEqual([cut("abc", 3), cut("abcd", 3)], ["abc", "abc …"]);
  assert.equal(joined(" · ", "a", undefined, "", false, "b"), "a · b");
});

it("colours are numbers from 0 to 1", () => {
  assert.deepEqual(fromHex("#ff0033"), [1, 0, 0.2]);
  assert.equal(css([1, 0, 0.2], 0.5), "rgba(255,0,51,0.5)");
  assert.deepEqual([isDark([0, 0, 0]), isDark([1, 1, 1])], [true, false]);
});
