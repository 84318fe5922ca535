// The field for a note on the sample.

import { el } from "../dom.js";

export class Note {
  /**
   * @param {(text: string) => void} changed
   * @param {() => void} left called when the person goes on
   */
  constructor(changed, left) {
    this.left = left;
    this.root = el("textarea", {
      rows: "2",
      "aria-label": "Note",
      placeholder: "Note (Escape to go on)",
      hidden: true,
      dir: "auto",
      on: { input: () => changed(this.root.value), keydown: (event) => this.#press(event) },
    });
  }

  /** @param {string} text */
  set(text) {
    this.root.value = text;
    this.root.hidden = !text;
  }

  open() {
    this.root.hidden = false;
    this.root.focus();
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    event.stopPropagation();
    if (event.key !== "Escape" && !(event.key === "Enter" && (event.ctrlKey || event.metaKey))) return;
    event.preventDefault();
    this.left();
  }
}
