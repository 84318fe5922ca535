// When the server is gone: our words in place of Streamlit's, until it is back.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";

import { newPlace } from "../page.js";
import mount, { WORDS, foreignDialog } from "../../../app/components/frame/connection.js";

/** @type {() => void} */
let change = () => {};
let answers = false;

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout"] });
  answers = false;
  Object.assign(globalThis, {
    MutationObserver: class {
      /** @param {() => void} callback */
      constructor(callback) {
        change = callback;
      }
      observe() {}
      disconnect() {}
    },
    fetch: async () => {
      if (!answers) throw new TypeError("refused");
      return { ok: true };
    },
  });
});
afterEach(() => mock.timers.reset());

/** @param {string} text */
function dialog(text) {
  const layer = document.createElement("div");
  layer.innerHTML = '<div role="dialog"></div>';
  /** @type {HTMLElement} */ (layer.firstElementChild).textContent = text;
  document.body.append(layer);
  return layer;
}

/** Let some time pass, and what was asked meanwhile be answered. */
async function later() {
  mock.timers.tick(1600);
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
}

describe("the connection", () => {
  it("says nothing of dialogs of the page's own", () => {
    mount({ parentElement: newPlace(), data: null, setStateValue: () => {} });
    const own = dialog("Remove 12 samples?");
    change();
    assert.equal(foreignDialog(), null);
    assert.equal(own.style.display, "");
    assert.equal(document.querySelector(".oga-gone"), null);
  });

  it("puts our words in place of Streamlit's, once, and takes them away when the server is back", async () => {
    mount({ parentElement: newPlace(), data: null, setStateValue: () => {} });
    const foreign = dialog("Connection error Streamlit server is not responding.");
    change();
    change();
    assert.equal(foreign.style.display, "none");
    const banners = document.querySelectorAll(".oga-gone");
    assert.equal(banners.length, 1);
    assert.equal(banners[0].textContent, WORDS);
    assert.equal(banners[0].getAttribute("role"), "alert");
    await later();
    assert.equal(document.querySelectorAll(".oga-gone").length, 1);
    answers = true;
    await later();
    assert.equal(document.querySelector(".oga-gone"), null);
  });
});
