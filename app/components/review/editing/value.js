// The field for a new number, or the choice of several labels or of tags: it begins with the suggestion; Enter saves,
// Escape leaves.

/** @import { Sample } from "../../sample.js" */

import { button, el } from "../../dom.js";
import { WordTags } from "./words.js";

const BETWEEN = " | "; // as the server writes several labels
const NONE = "(none)";

export class NewValue {
  /** @type {Sample | null} */
  #sample = null;
  /** @type {string[]} labels to choose from, none where the value is a number */
  #names = [];
  /** @type {Set<string>} */
  #chosen = new Set();

  /**
   * @param {(sample: string, value: string) => void} save
   * @param {() => void} left called when the person goes on, saved or not
   */
  constructor(save, left) {
    this.save = save;
    this.left = left;
    this.field = el("input", { type: "text", inputmode: "decimal", "aria-label": "New value" });
    this.labels = el("div", { class: "chips", role: "group", "aria-label": "New labels", tabindex: "0" });
    this.words = new WordTags();
    this.fault = el("span", { class: "hint", role: "alert" });
    this.root = el(
      "div",
      { class: "new-value", hidden: true, on: { keydown: (event) => this.#press(event) } },
      this.field,
      this.labels,
      this.words.root,
      button("Save", "Save (Enter)", () => this.#save()),
      this.fault,
      el("span", { class: "hint" }, "Enter saves, Escape leaves"),
    );
  }

  /**
   * @param {Sample | undefined} sample
   * @param {string[]} names
   */
  open(sample, names) {
    if (!sample) return;
    const value = sample.new_label ?? sample.predicted ?? sample.given ?? "";
    this.#sample = sample;
    this.#names = names;
    this.#chosen = new Set(value.split(BETWEEN));
    this.field.value = value;
    this.field.hidden = names.length > 0;
    this.labels.hidden = !names.length || Boolean(sample.tags);
    this.words.root.hidden = !sample.tags;
    this.fault.textContent = "";
    this.root.hidden = false;
    if (sample.tags) return this.words.open(sample.tags, value.split(BETWEEN), names);
    this.#draw();
    (names.length ? this.labels : this.field).focus();
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

  #draw() {
    const chips = this.#names.map((name, i) => {
      const key = i < 10 ? el("kbd", { "aria-hidden": "true" }, String((i + 1) % 10)) : null;
      const attributes = {
        type: "button",
        class: "chip",
        "aria-pressed": String(this.#chosen.has(name)),
        on: { click: () => this.#toggle(name) },
      };
      return el("button", attributes, key, name);
    });
    this.labels.replaceChildren(...chips);
  }

  /** @param {string | undefined} name */
  #toggle(name) {
    if (name === undefined) return;
    if (!this.#chosen.delete(name)) this.#chosen.add(name);
    this.#draw();
    this.labels.focus();
  }

  #labels() {
    if (this.#sample?.tags) return this.words.tags.join(BETWEEN);
    return this.#names.filter((name) => this.#chosen.has(name)).join(BETWEEN) || NONE;
  }

  #save() {
    const value = this.#names.length ? this.#labels() : this.field.value.trim();
    if (!this.#names.length && (value === "" || !Number.isFinite(Number(value)))) {
      this.fault.textContent = "That is not a number. Write it with a point, such as 3.5.";
      return;
    }
    if (this.#sample) this.save(this.#sample.id, value);
    this.#close();
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    event.stopPropagation();
    if (event.isComposing) return;
    const isNumber = this.#names.length > 0 && !this.#sample?.tags && /^[0-9]$/.test(event.key);
    if (!isNumber && event.key !== "Enter" && event.key !== "Escape") return;
    event.preventDefault();
    if (isNumber) this.#toggle(this.#names[(Number(event.key) + 9) % 10]);
    else if (event.key === "Enter") this.#save();
    else this.#close();
  }
}
