// The names of clusters over the map: where they stand, that none lies over another, and that they can be hidden.

import assert from "node:assert/strict";
import { beforeEach, it } from "node:test";

import "../page.js";
import { ClusterNames } from "../../../app/components/map/drawing/names.js";
import { View } from "../../../app/components/map/drawing/view.js";

const WIDE = 60;
const HIGH = 20;
/** @type {ClusterNames} */
let names;
/** @type {View} */
let view;

beforeEach(() => {
  view = new View(() => {});
  view.width = view.height = 300;
  view.setBounds({ left: 0, right: 300, bottom: 0, top: 300 });
  names = new ClusterNames();
  names.set([["cat → dog", [150, 150]], ["cat", [160, 155]], ["owl", [155, 152]], ["eel", [152, 150]], ["dog", [150, 250]], ["edge", [299, 10]]]); // prettier-ignore
  for (const node of names.root.children) {
    Object.defineProperty(node, "offsetWidth", { value: WIDE });
    Object.defineProperty(node, "offsetHeight", { value: HIGH });
  }
  names.draw(view);
});

const nodes = () => /** @type {HTMLElement[]} */ ([...names.root.children]);
const shown = () => nodes().flatMap((node) => (node.style.visibility === "visible" ? [node.textContent] : []));

it("stand where their clusters are, the larger before the smaller, and never over the edge", () => {
  assert.deepEqual(shown(), ["cat → dog", "cat", "eel", "dog"], "one in place, one above, one below, and no fourth");
  assert.deepEqual(nodes().map((node) => node.style.left).slice(0, 2), ["150px", "160px"]); // prettier-ignore
  const tops = nodes().map((node) => parseFloat(node.style.top));
  assert.deepEqual([tops[0], tops[4]], [150, 50]);
  assert.ok(Math.abs(tops[1] - tops[0]) >= HIGH && Math.abs(tops[3] - tops[0]) >= HIGH);
});

it("have more room the nearer one looks", () => {
  view.zoomAt([150, 150], 20);
  names.draw(view);
  assert.ok(shown().includes("owl") && !shown().includes("edge"), `${shown()}`);
});

it("can be hidden and shown again, and are told to nobody twice", () => {
  assert.equal(names.toggle.getAttribute("aria-pressed"), "true");
  names.toggle.click();
  assert.ok(names.root.hidden);
  assert.equal(names.toggle.getAttribute("aria-pressed"), "false");
  names.toggle.click();
  assert.ok(!names.root.hidden);
  names.set([]);
  assert.ok(names.toggle.hidden, "a map without names has no button for them");
});
