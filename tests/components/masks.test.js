// Images with masks: layers over the picture, the keys that change them, and what colours mean.

import assert from "node:assert/strict";
import { beforeEach, it } from "node:test";

import "./page.js";

const { samplePreview, sampleCard } = await import("../../app/components/sample_preview.js");
const { nextLayer } = await import("../../app/components/preview/masks.js");
const { gridTile } = await import("../../app/components/grid/tile.js");

/** @type {[name: string, address: string][]} */
const layers = [
  ["Mask", "data:image/png;base64,AB=="],
  ["Model's mask", "data:image/png;base64,AC=="],
  ["Loss", "data:image/png;base64,AD=="],
];
/** @type {import("../../app/components/sample.js").Sample} */
const sample = {
  id: "images/a.png",
  image: "data:image/png;base64,AA==",
  layers,
  legend: [
    ["background", ""],
    ["<i>disc</i>", "#e63946"],
  ],
};

/** @type {HTMLElement} */
let place;

beforeEach(() => {
  place = document.createElement("div");
  place.append(...samplePreview(sample));
  press("Mask");
});

/** @param {string} name */
function press(name) {
  const button = [...place.querySelectorAll(".layers button")].find((other) => other.textContent === name);
  if (button instanceof HTMLElement) button.click();
}

const pressed = () => place.querySelector('.layers button[aria-pressed="true"]')?.textContent;
const source = () => place.querySelector(".layer:not([hidden])")?.getAttribute("src");
const isHidden = (/** @type {string} */ name) => place.querySelector(name)?.hasAttribute("hidden");

it("the mask lies over the picture, with its classes as text", () => {
  assert.equal(pressed(), "Mask");
  assert.equal(source(), layers[0][1]);
  const names = [...place.querySelectorAll(".mask-classes li")].map((item) => item.textContent);
  assert.deepEqual(names, ["background", "<i>disc</i>"]);
  assert.equal(place.querySelectorAll(".mask-colour.none").length, 1);
  assert.equal(place.querySelector(".picture img")?.getAttribute("alt"), "Sample images/a.png");
});

it("one key goes round the layers and ends at the image alone", () => {
  const seen = [1, 2, 3, 4].map(() => nextLayer(place) && [pressed(), source()]);
  assert.deepEqual(seen, [
    ["Model's mask", layers[1][1]],
    ["Loss", layers[2][1]],
    ["Image", undefined],
    ["Mask", layers[0][1]],
  ]);
});

it("what colours mean is said of the layer that shows", () => {
  assert.deepEqual([isHidden(".mask-classes"), isHidden(".loss-shades")], [false, true]);
  press("Loss");
  assert.deepEqual([isHidden(".mask-classes"), isHidden(".loss-shades")], [true, false]);
});

it("the layer stays chosen on the next sample that has it", () => {
  press("Loss");
  place.replaceChildren(...samplePreview({ ...sample, id: "b" }));
  assert.equal(pressed(), "Loss");
  place.replaceChildren(...samplePreview({ ...sample, layers: layers.slice(0, 1) }));
  assert.equal(pressed(), "Mask");
});

it("other samples have no layers to go round", () => {
  place.replaceChildren(...samplePreview({ id: "c", text: "words" }));
  assert.equal(nextLayer(place), false);
});

it("tiles and cards show the mask on the picture", () => {
  const tile = [...gridTile(sample).querySelectorAll(".layered img")].map((image) => image.getAttribute("src"));
  assert.deepEqual(tile, [sample.image, layers[0][1]]);
  assert.equal(sampleCard(sample).querySelector(".saliency")?.getAttribute("src"), layers[0][1]);
});
