// Styles that meet in one shadow tree: a class that two of them define would take the one's look into the other.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { it } from "node:test";

const FOLDER = new URL("../../app/components/", import.meta.url);

/**
 * The classes that rules of a style sheet begin with.
 *
 * @param {string} name
 */
function classesOf(name) {
  const style = readFileSync(new URL(name, FOLDER), "utf-8").replace(/\/\*.*?\*\//gs, "");
  return new Set([...style.matchAll(/(?:^|[},])\s*\.([a-z][a-z-]*)(?=[ .:{,[>])/g)].map(([, found]) => found));
}

for (const own of ["map/gradient_map.css", "review/review_queue.css"]) {
  it(`${own} and that of a sample define no class twice`, () => {
    const mine = classesOf(own);
    assert.ok(mine.size > 5);
    const both = [...classesOf("sample_preview.css")].filter((name) => mine.has(name));
    assert.deepEqual(both, []);
  });
}
