// Elements made without HTML strings: what a sample contains is never parsed as HTML.

/** @typedef {string | Node | false | null | undefined} Child */
/** @typedef {{ [K in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[K]) => void }} Listeners */
/** @typedef {{ [name: string]: string | number | boolean | null | undefined | Listeners, on?: Listeners }} Attributes */

/**
 * An element with attributes (`true` is written as "", `false` and nothing are left out), listeners under `on`, and
 * children; strings become text nodes.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} attributes
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  const { on, ...others } = attributes;
  for (const [name, value] of Object.entries(others)) {
    if (value === null || value === undefined || value === false) continue;
    node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const [name, listener] of Object.entries(on ?? {})) {
    node.addEventListener(name, /** @type {EventListener} */ (listener));
  }
  node.append(...nodes(children.flat()));
  return node;
}

/**
 * The children that are there.
 *
 * @param {Child[]} children
 * @returns {(string | Node)[]}
 */
export function nodes(children) {
  return children.flatMap((child) => (child === null || child === undefined || child === false ? [] : [child]));
}

/**
 * @param {string} text
 * @param {string} label what a screen reader says and the pointer shows
 * @param {() => void} action
 * @param {Attributes} attributes
 */
export function button(text, label, action, attributes = {}) {
  return el(
    "button",
    { type: "button", "aria-label": label, title: label, on: { click: action }, ...attributes },
    text,
  );
}

/**
 * @param {ParentNode} place
 * @param {...string} sheets
 */
export function addStyle(place, ...sheets) {
  for (const sheet of sheets) place.append(el("style", {}, sheet));
}

/**
 * Close a dialog by Escape at once: the browser does it some time after the key, and a key pressed right after it must
 * already count outside. `after` gives the focus to something else; the event that tells of a closing comes with the
 * next frame, when the person may be typing elsewhere already.
 *
 * @param {HTMLDialogElement} dialog
 * @param {() => void} after
 */
export function closeByEscape(dialog, after) {
  dialog.addEventListener("close", () => {
    if (!hasFocus(dialog.getRootNode())) after();
  });
  dialog.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    dialog.close();
    after();
  });
}

/**
 * Whether something in a tree has the focus.
 *
 * @param {Node} root
 */
function hasFocus(root) {
  if (!(root instanceof Document || root instanceof ShadowRoot)) return false;
  return root.activeElement !== null && root.activeElement !== document.body;
}
