// The list of colours below the map, and the card beside a point.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";

import { buttonOf, press, texts } from "../page.js";
import { pack, pointsOf } from "./points.js";
import { HoverCard } from "../../../app/components/map/card.js";
import { kindsOf } from "../../../app/components/map/drawing/kinds.js";
import { lookOf } from "../../../app/components/map/drawing/look.js";
import { Points } from "../../../app/components/map/drawing/points.js";
import { View } from "../../../app/components/map/drawing/view.js";
import { Legend } from "../../../app/components/map/legend.js";

const CLASSES = Array.from({ length: 30 }, (_, i) => `class ${i}`);
const theme = { background: /** @type {const} */ ([1, 1, 1]), dark: false, text: /** @type {const} */ ([0, 0, 0]) };

// One sample more of each later class, so that the last ones are most frequent.
const rows = CLASSES.flatMap((_, code) => Array.from({ length: code + 1 }, () => [0, 0, code, 255, 1]));
const points = new Points(pack(/** @type {any} */ (rows), CLASSES));
const kinds = kindsOf(points, "label");

describe("the legend", () => {
  let changes = 0;
  /** @type {Legend} */
  let legend;

  beforeEach(() => {
    changes = 0;
    legend = new Legend(() => (changes += 1));
    document.body.replaceChildren(legend.root, legend.search.root);
    draw();
  });

  function draw() {
    assert.ok(kinds);
    const slots = legend.assign(kinds, points.n, () => true);
    legend.draw(lookOf(theme, "label", 4), kinds, false);
    return slots;
  }

  /** @param {string} name */
  function choose(name) {
    buttonOf(legend.root, "Choose another class to colour").click();
    assert.ok(!texts(legend.search.root, "li").includes("class 29"), "that one has a colour");
    legend.search.input.value = name;
    legend.search.input.dispatchEvent(new Event("input"));
    press("Enter", legend.search.input);
  }

  it("names the most frequent classes and puts the others together", () => {
    const names = texts(legend.root, "li");
    assert.ok(names.includes("class 29") && !names.includes("class 0"), `${names}`);
    assert.equal(legend.root.querySelectorAll("button").length, 1);
    assert.equal(
      new Set([...legend.root.querySelectorAll(".swatch")].map((node) => node.getAttribute("style"))).size,
      names.length,
    );
  });

  it("is drawn anew only when it differs", () => {
    const [first] = legend.root.children;
    draw();
    assert.equal(legend.root.children[0], first);
  });

  it("gives a colour to the class that the person asks for", () => {
    choose("class 0");
    assert.equal(changes, 1);
    const slots = draw();
    assert.ok(texts(legend.root, "li").includes("class 0"));
    assert.notEqual(slots[0], slots[1], "the sample of class 0 has a colour of its own");
  });

  it("of another map forgets what was asked for", () => {
    choose("class 0");
    legend.assign({ names: ["x", "y"], code: () => 0 }, 1, () => true);
    draw();
    assert.ok(!texts(legend.root, "li").includes("class 0"));
  });
});

describe("the card", () => {
  beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "Date"] }));
  afterEach(() => mock.timers.reset());
  /** @type {any[]} */
  let asked = [];
  const view = new View(() => {});
  view.width = view.height = 100;
  const card = new HoverCard();
  const map = () => ({
    points: pointsOf([3, 2, 1]), view, flagged: 1, chances: /** @type {[number, number][]} */ ([[0.97, 1], [0.2, 3]]), hasPreview: true, decisionOf: () => 1,
    send: (/** @type {string} */ _, /** @type {any} */ value) => asked.push(value.rank),
  }); // prettier-ignore

  it("says what the browser knows at once, and the sample when it has come", () => {
    asked = [];
    card.show(0, map());
    assert.match(card.root.textContent ?? "", /^cat · 97 % likely wrong · rank 1 · flagged · \w+/);
    mock.timers.tick(160);
    assert.deepEqual(asked, [0]);
    card.remember(
      { rank: 0, sample: { id: "photo.png", predicted: "dog", why: "Looks like dog.", text: "w ".repeat(99) } },
      map(),
    );
    assert.match(card.root.textContent ?? "", /photo\.png.*…suggested dogLooks like dog\.$/s);
    card.hide();
    card.show(0, map());
    mock.timers.tick(1000);
    assert.deepEqual(asked, [0], "a sample that is known is not asked for again");
  });

  it("does not open for an answer that comes too late, and forgets another map's samples", () => {
    card.hide();
    card.remember({ rank: 2, sample: { id: "late" } }, map());
    assert.ok(card.root.hidden);
    card.show(2, map());
    assert.match(card.root.textContent ?? "", /late/);
    card.clear();
    card.show(2, map());
    assert.doesNotMatch(card.root.textContent ?? "", /late/);
  });

  it("opens towards the middle of the plot", () => {
    view.setBounds({ left: -1, right: 9, bottom: -9, top: 1 });
    card.show(0, map());
    assert.deepEqual(
      [...card.root.classList].filter((name) => name.endsWith("wards")),
      [],
    );
    view.setBounds({ left: -9, right: 1, bottom: -1, top: 9 });
    card.show(0, map());
    assert.ok(card.root.classList.contains("leftwards") && card.root.classList.contains("upwards"));
  });
});
