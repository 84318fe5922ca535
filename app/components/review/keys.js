// The keys of the review, and the sheet that lists them.

import { button, el } from "../common.js";

const SHEET = [
  ["k", "Keep the given label"], ["Enter or s", "Take the suggestion"], ["1 … 9, 0", "Give one of the numbered classes"],
  ["/", "Search among all classes"], ["r or Delete", "Remove the sample"], ["u", "Unsure"], ["n", "Write a note"],
  ["o", "Show or hide the saliency overlay"], ["← →", "Look back and forth"], ["z or Ctrl+Z", "Undo"],
  ["Shift+Z or Ctrl+Y", "Redo"], ["?", "This list"],
];
const STORE = "oga-review-keys-anywhere";

// What a key press means: a command's name, with the class number for digits; null where it means nothing here.
export function commandOf(event) {
  const { key } = event;
  if (event.altKey) return null;
  if (event.ctrlKey || event.metaKey) {
    const letter = key.toLowerCase();
    if (letter === "z") return event.shiftKey ? { name: "redo" } : { name: "undo" };
    return letter === "y" ? { name: "redo" } : null;
  }
  if (/^[0-9]$/.test(key)) return { name: "class", number: Number(key) || 10 };
  const name = {
    k: "keep", s: "suggestion", Enter: "suggestion", r: "remove", Delete: "remove", u: "unsure", z: "undo", Z: "redo",
    ArrowLeft: "back", ArrowRight: "forth", "/": "search", "?": "help", n: "note", o: "overlay",
    K: "keep", S: "suggestion", R: "remove", U: "unsure", N: "note", O: "overlay",
  }[key];
  return name ? { name } : null;
}

// Keys count while nothing else on the page wants them: a field that is typed into, an open dialog, another control.
export function isForReview(event, root, anywhere) {
  const target = event.composedPath()[0];
  if (!(target instanceof Element)) return anywhere;
  if (target.closest("input, textarea, select, [contenteditable=true], [role=textbox], [role=combobox], dialog, [role=dialog]")) return false;
  const inside = event.composedPath().includes(root);
  if (!inside && !(anywhere && (target === document.body || target.matches("[data-testid=stMain], [data-testid=stApp], .stMain, section")))) return false;
  const isControl = target.closest("button, a, summary, [role=button], [role=slider]");
  return !(isControl && (event.key === "Enter" || event.key === " "));
}

export class KeySheet {
  constructor() {
    this.anywhere = read() !== "no";
    const box = el("input", { type: "checkbox", on: { change: () => this.#set(box.checked) } });
    box.checked = this.anywhere;
    this.root = el("dialog", { class: "sheet", "aria-label": "Keys" },
      el("h2", {}, "Keys"),
      el("table", {}, el("tbody", {}, SHEET.map(([keys, meaning]) =>
        el("tr", {}, el("th", { scope: "row" }, el("kbd", {}, keys)), el("td", {}, meaning))))),
      el("label", {}, box, " Keys work anywhere on the page"),
      el("div", { class: "actions" }, button("Close", "Close the list of keys", () => this.root.close())));
  }

  open() {
    if (!this.root.open) this.root.showModal();
  }

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
