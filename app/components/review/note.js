// The field for a note on the sample: Enter saves it, Escape leaves it as it was.

import { el } from "../dom.js";

export class Note {
  #before = "";

  /**
   * @param {(text: string) => void} changed called with each letter: a verdict takes along what stands in the field
   * @param {() => void} saved
   * @param {() => void} left called when the person goes on, saved or not
   */
  constructor(changed, saved, left) {
    this.changed = changed;
    this.saved = saved;
    this.left = left;
    this.root = el("textarea", {
      rows: "2",
      "aria-label": "Note",
      placeholder: "Note: Enter saves, Escape leaves it",
      hidden: true,
      dir: "auto",
      on: {
        focus: () => (this.#before = this.root.value),
        input: () => changed(this.root.value),
        keydown: (event) => this.#press(event),
      },
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
    // Enter also ends the composition of a word in many scripts.
    if (event.isComposing) return;
    if (event.key === "Escape") {
      this.set(this.#before);
      this.changed(this.#before);
    } else if (event.key === "Enter" && !event.shiftKey) {
      this.saved();
    } else {
      return;
    }
    event.preventDefault();
    this.left();
  }
}
