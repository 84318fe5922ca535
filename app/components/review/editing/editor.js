// The fields in which responses are corrected: Ctrl+Enter saves, Escape leaves. What was typed stays until it is saved.

/** @import { Sample, Texts } from "../../sample.js" */

import { button, el } from "../../dom.js";
import { changedText, placeName } from "./changes.js";

const ROWS = 12; // lines of a field at most: the conversation stays in sight

export class Editor {
  /** @type {Sample | null} */
  #sample = null;
  /** @type {Map<string, Map<string, string>>} by sample and place */
  #drafts = new Map();

  /**
   * @param {(sample: string, edit: Texts) => void} save what differs from the original
   * @param {() => void} left called when the person goes on, saved or not
   */
  constructor(save, left) {
    this.save = save;
    this.left = left;
    this.root = el("section", {
      class: "editor",
      "aria-label": "Edit the response",
      hidden: true,
      on: { keydown: (event) => this.#press(event) },
    });
  }

  /**
   * Open the fields of a sample: with what was typed before, else with the edit that stands, else with the original.
   *
   * @param {Sample} sample
   */
  open(sample) {
    const responses = sample.responses ?? [];
    this.#sample = sample;
    const standing = new Map(sample.edit ?? []);
    const drafts = this.#drafts.get(sample.id) ?? new Map();
    this.#drafts.set(sample.id, drafts);
    const fields = responses.map(([place, original]) =>
      this.#field(place, original, drafts.get(place) ?? standing.get(place) ?? original, responses.length > 1),
    );
    this.root.replaceChildren(
      ...fields,
      el(
        "div",
        { class: "actions" },
        button("Save", "Save (Ctrl+Enter)", () => this.#save(), { class: "save" }),
        button("Leave", "Leave (Escape)", () => this.close()),
        el("span", { class: "facts" }, "Ctrl+Enter saves, Escape leaves"),
      ),
    );
    this.root.hidden = false;
    [...this.root.querySelectorAll("textarea")].at(-1)?.focus();
    this.root.scrollIntoView({ block: "nearest" });
  }

  close() {
    this.#hide();
    this.left();
  }

  /**
   * A sample is shown from now on: the fields of another go away.
   *
   * @param {string} id
   */
  follow(id) {
    if (this.#sample?.id !== id) this.#hide();
  }

  #hide() {
    this.#sample = null;
    this.root.hidden = true;
    this.root.replaceChildren();
  }

  /**
   * @param {string} place
   * @param {string} original
   * @param {string} text
   * @param {boolean} isNamed whether there are others beside it
   */
  #field(place, original, text, isNamed) {
    const difference = el("div", { class: "difference" });
    const box = el("textarea", {
      "aria-label": `Response, ${placeName(place)}`,
      dir: "auto",
      rows: String(Math.min(ROWS, Math.max(3, text.split("\n").length + 1))),
      on: { input: () => changed() },
    });
    const restore = button("Original", "Put the original text back", () => {
      box.value = original;
      changed();
      box.focus();
    });
    const changed = () => {
      this.#drafts.get(this.#sample?.id ?? "")?.set(place, box.value);
      draw();
    };
    const draw = () => {
      const isChanged = box.value !== original;
      restore.hidden = !isChanged;
      difference.replaceChildren(...(isChanged ? [changedText(original, box.value)] : []));
    };
    box.value = text;
    draw();
    return el("div", { class: "field" }, isNamed && el("h3", {}, placeName(place)), box, restore, difference);
  }

  #save() {
    const sample = this.#sample;
    if (!sample) return;
    const boxes = [...this.root.querySelectorAll("textarea")];
    const edit = (sample.responses ?? []).flatMap(([place, original], i) =>
      boxes[i].value === original ? [] : [/** @type {[string, string]} */ ([place, boxes[i].value])],
    );
    this.#drafts.delete(sample.id);
    this.save(sample.id, edit);
    this.close();
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    // Enter also ends the composition of a word in many scripts.
    if (event.isComposing) return;
    const saves = event.key === "Enter" && (event.ctrlKey || event.metaKey);
    if (!saves && event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    if (saves) this.#save();
    else this.close();
  }
}
