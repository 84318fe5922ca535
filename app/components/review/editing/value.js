// The field for a new number: it begins with the suggestion; Enter saves it, Escape leaves.

/** @import { Sample } from "../../sample.js" */

import { el } from "../../dom.js";

export class NewValue {
  /** @type {Sample | null} */
  #sample = null;

  /**
   * @param {(sample: string, value: string) => void} save
   * @param {() => void} left called when the person goes on, saved or not
   */
  constructor(save, left) {
    this.save = save;
    this.left = left;
    this.field = el("input", {
      type: "text",
      inputmode: "decimal",
      "aria-label": "New value",
      on: { keydown: (event) => this.#press(event) },
    });
    this.fault = el("span", { class: "hint", role: "alert" });
    this.root = el(
      "div",
      { class: "new-value", hidden: true },
      el("label", {}, "New value ", this.field),
      this.fault,
      el("span", { class: "hint" }, "Enter saves, Escape leaves"),
    );
  }

  /** @param {Sample | undefined} sample */
  open(sample) {
    if (!sample) return;
    this.#sample = sample;
    this.field.value = sample.new_label ?? sample.predicted ?? sample.given ?? "";
    this.fault.textContent = "";
    this.root.hidden = false;
    this.field.focus();
    this.field.select();
  }

  /**
   * A sample is shown from now on: the field of another goes away.
   *
   * @param {string | undefined} id
   */
  follow(id) {
    if (this.#sample?.id !== id) this.#hide();
  }

  #hide() {
    this.#sample = null;
    this.root.hidden = true;
  }

  #close() {
    this.#hide();
    this.left();
  }

  #save() {
    const value = this.field.value.trim();
    if (value === "" || !Number.isFinite(Number(value))) {
      this.fault.textContent = "That is not a number. Write it with a point, such as 3.5.";
      return;
    }
    if (this.#sample) this.save(this.#sample.id, value);
    this.#close();
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    event.stopPropagation();
    if (event.isComposing || (event.key !== "Enter" && event.key !== "Escape")) return;
    event.preventDefault();
    if (event.key === "Enter") this.#save();
    else this.#close();
  }
}
