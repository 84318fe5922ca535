// The choice of a tag for every word of a sentence: it begins with the suggestions, at the word that looks most wrong.

/** @import { Tagged } from "../../preview/tags.js" */

import { el } from "../../dom.js";

export class WordTags {
  constructor() {
    this.root = el("div", { class: "word-tags", role: "group", "aria-label": "New tags" });
    /** @type {HTMLSelectElement[]} */
    this.fields = [];
  }

  /**
   * @param {Tagged} tagged
   * @param {string[]} tags to begin with
   * @param {string[]} names of all tags
   */
  open({ words, doubts }, tags, names) {
    this.fields = words.map((word, place) => {
      const options = names.map((name) => el("option", { value: name }, name));
      const field = el("select", { "aria-label": `Tag of ${word}, word ${place + 1}` }, options);
      field.value = tags[place];
      return field;
    });
    const labels = this.fields.map((field, place) => el("label", {}, el("span", { dir: "auto" }, words[place]), field));
    this.root.replaceChildren(...labels);
    this.fields[doubts[0]?.[0] ?? 0]?.focus();
  }

  /** @returns {string[]} one tag a word */
  get tags() {
    return this.fields.map((field) => field.value);
  }
}
