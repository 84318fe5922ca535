// A page without a browser: happy-dom's elements, events and dialogs stand in for Chromium's. It lays nothing out, so a
// test gives the sizes it needs.

import { createRequire, register } from "node:module";

/** @typedef {import("../../app/components/server.js").Send} Send */

// A style sheet is imported as text; here as none.
const HOOKS = `export const load = (url, context, next) =>
  url.endsWith(".css") ? { format: "module", source: "export default ''", shortCircuit: true } : next(url, context);`;
register(`data:text/javascript,${encodeURIComponent(HOOKS)}`);

const { Window } = createRequire(new URL("../../.ci/package.json", import.meta.url))("happy-dom");
const browser = new Window({ url: "http://127.0.0.1:8501/" });

const NAMES = ["document", "location", "sessionStorage", "localStorage", "getComputedStyle", "Document", "Element"];
const CLASSES = ["HTMLElement", "Node", "ShadowRoot", "Event", "KeyboardEvent", "MouseEvent", "PointerEvent"];
for (const name of [...NAMES, ...CLASSES, "Image"]) {
  Object.defineProperty(globalThis, name, { value: browser[name], configurable: true, writable: true });
}
// Timers stay Node's own, so that a test can turn their clock.
Object.assign(globalThis, {
  window: globalThis,
  devicePixelRatio: 2,
  addEventListener: browser.addEventListener.bind(browser),
  removeEventListener: browser.removeEventListener.bind(browser),
});
browser.Element.prototype.setPointerCapture = () => {};

/** An empty place on the page, as Streamlit gives a component. */
export function newPlace() {
  const place = document.createElement("div");
  document.body.replaceChildren(place);
  return place;
}

/**
 * Press a key where the focus is, or on a node.
 *
 * @param {string} key
 * @param {Element} node
 * @param {KeyboardEventInit} more
 * @returns {boolean} whether the key was taken
 */
export function press(key, node = document.activeElement ?? document.body, more = {}) {
  const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, composed: true, ...more });
  node.dispatchEvent(event);
  return event.defaultPrevented;
}

/**
 * Let the pointer do something at a place.
 *
 * @param {Element} node
 * @param {string} type such as "pointerdown"
 * @param {[x: number, y: number]} place
 * @param {PointerEventInit} more
 */
export function point(node, type, [clientX, clientY], more = {}) {
  node.dispatchEvent(new PointerEvent(type, { clientX, clientY, pointerId: 1, button: 0, bubbles: true, ...more }));
}

/**
 * Turn the wheel over a place.
 *
 * @param {Element} node
 * @param {number} deltaY in pixels, upwards below zero
 * @param {MouseEventInit} more
 * @returns {boolean} whether the page must not scroll
 */
export function turnWheel(node, deltaY, more = {}) {
  // happy-dom's own event of this kind has no place and no keys.
  const event = new MouseEvent("wheel", { bubbles: true, cancelable: true, ...more });
  node.dispatchEvent(Object.assign(event, { deltaY, deltaMode: 0 }));
  return event.defaultPrevented;
}

/**
 * Give an element a place and a size in pixels.
 *
 * @param {Element} node
 * @param {{ left?: number, top?: number, width: number, height: number }} box
 */
export function layOut(node, { left = 0, top = 0, width, height }) {
  node.getBoundingClientRect = () => new browser.DOMRect(left, top, width, height);
  for (const [name, value] of Object.entries({ clientWidth: width, clientHeight: height })) {
    Object.defineProperty(node, name, { value, configurable: true });
  }
}

/**
 * Answer every fetch with what a file holds.
 *
 * @param {Record<string, unknown>} files content by the end of the address
 * @returns {string[]} the addresses asked for so far
 */
export function serve(files) {
  /** @type {string[]} */
  const asked = [];
  globalThis.fetch = async (url) => {
    const address = String(url);
    asked.push(address);
    const name = Object.keys(files).find((ending) => address.endsWith(ending));
    if (name === undefined) return new Response("", { status: 404, statusText: "Not Found" });
    const content = files[name];
    return new Response(content instanceof ArrayBuffer ? content : JSON.stringify(content));
  };
  return asked;
}

/** Let all that waits for a fetch go on. */
export async function settled() {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/**
 * The words an element shows, in order.
 *
 * @param {Element} root
 * @param {string} selector
 */
export function texts(root, selector) {
  return [...root.querySelectorAll(selector)].map((node) => node.textContent);
}

/**
 * The button with a label.
 *
 * @param {Element} root
 * @param {string} label
 * @returns {HTMLButtonElement}
 */
export function buttonOf(root, label) {
  const found = [...root.querySelectorAll("button")].find(
    (node) => node.getAttribute("aria-label") === label || node.textContent === label,
  );
  if (!found) throw new Error(`no button ${label} among ${texts(root, "button").join(", ")}`);
  return found;
}
