// An image with a mask: layers that may lie over the picture, one at a time, and what their colours mean.

/** @import { Sample } from "../sample.js" */

import { el } from "../dom.js";

const ALONE = "Image";

// The layer that a person looks at stays chosen from one sample to the next.
let chosen = "";

/**
 * The picture with its layer, buttons for the others, and the classes in it.
 *
 * @param {Sample} sample
 * @param {HTMLImageElement} image
 */
export function maskedPicture({ layers = [], legend = [] }, image) {
  const names = [...layers.map(([name]) => name), ALONE];
  const overlay = el("img", { alt: "", class: "saliency layer", "aria-hidden": "true", draggable: "false" });
  if (image.classList.contains("pixelated")) overlay.classList.add("pixelated");
  const buttons = names.map((name) => el("button", { type: "button", on: { click: () => choose(name) } }, name));
  const shades = el("p", { class: "shades loss-shades" }, "The stronger the shade, the larger the loss of a region.");
  const classes = el(
    "ul",
    { class: "mask-classes", "aria-label": "Classes in the mask" },
    legend.map(([name, colour]) =>
      el(
        "li",
        { dir: "auto" },
        el("i", { class: colour ? "mask-colour" : "mask-colour none", style: `--colour:${colour || "none"}` }),
        name,
      ),
    ),
  );
  const picture = el("div", { class: "picture" }, image, overlay);
  const group = el("div", { class: "layers", role: "group", "aria-label": "What lies over the picture" }, buttons);

  /** @param {string} name */
  function choose(name) {
    chosen = name;
    const layer = layers.find(([other]) => other === name);
    overlay.hidden = !layer;
    if (layer) overlay.setAttribute("src", layer[1]);
    for (const [i, button] of buttons.entries()) button.setAttribute("aria-pressed", String(names[i] === name));
    shades.hidden = name !== "Loss";
    classes.hidden = name === "Loss" || name === ALONE;
  }

  choose(names.includes(chosen) ? chosen : names[0]);
  return [picture, group, classes, shades];
}

/**
 * Press the button of the next layer; false where there are none.
 *
 * @param {HTMLElement} root
 */
export function nextLayer(root) {
  const buttons = [...root.querySelectorAll(".layers button")];
  const current = buttons.findIndex((button) => button.getAttribute("aria-pressed") === "true");
  const next = buttons[(current + 1) % buttons.length];
  if (next instanceof HTMLElement) next.click();
  return buttons.length > 0;
}
