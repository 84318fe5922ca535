// The sheet that lists the keys, and where on the page they count.

import { button, el } from "../dom.js";
import { isAllowed, MEANINGS } from "./keys.js";

const STORE = "oga-review-keys-anywhere";
const FIELDS =
  "input, textarea, select, [contenteditable=true], [role=textbox], [role=combobox], dialog, [role=dialog], .new-value";
const CONTROLS = "button, a, summary, [role=button], [role=slider]";
// A link to another page keeps the focus when that page is here, and wants no key but Enter.
const GROUNDS = "body, [data-testid=stMain], [data-testid=stApp], .stMain, section, a";

/**
 * Keys count while nothing else on the page wants them: a field that is typed into, an open dialog, another control.
 *
 * @param {KeyboardEvent} event
 * @param {HTMLElement} root of the review
 * @param {boolean} anywhere keys count outside the review too
 */
export function isForReview(event, root, anywhere) {
  const target = event.composedPath()[0];
  if (!(target instanceof Element)) return anywhere;
  if (target.closest(FIELDS)) return false;
  const isInside = event.composedPath().includes(root);
  if (!isInside && !(anywhere && target.matches(GROUNDS))) return false;
  const pressesControl = event.key === "Enter" || event.key === " ";
  return !(pressesControl && target.closest(CONTROLS));
}

export class KeySheet {
  /** @param {string[]} actions that can be decided */
  constructor(actions) {
    this.anywhere = read() !== "no";
    const box = el("input", { type: "checkbox", on: { change: () => this.#set(box.checked) } });
    box.checked = this.anywhere;
    const meanings = MEANINGS.filter(([, , command]) => isAllowed(command, actions));
    const rows = meanings.map(([keys, meaning]) =>
      el("tr", {}, el("th", { scope: "row" }, el("kbd", {}, keys)), el("td", {}, meaning)),
    );
    const close = button("Close", "Close the list of keys", () => this.root.close());
    this.root = el(
      "dialog",
      { class: "sheet", "aria-label": "Keys" },
      el("h2", {}, "Keys"),
      el("table", {}, el("tbody", {}, rows)),
      el("label", {}, box, " Keys work anywhere on the page"),
      el("div", { class: "actions" }, close),
    );
  }

  open() {
    if (!this.root.open) this.root.showModal();
  }

  /** @param {boolean} anywhere */
  #set(anywhere) {
    this.anywhere = anywhere;
    try {
      localStorage.setItem(STORE, anywhere ? "yes" : "no");
    } catch {
      // Then the choice holds for this page only.
    }
  }
}

function read() {
  try {
    return localStorage.getItem(STORE);
  } catch {
    return null;
  }
}
