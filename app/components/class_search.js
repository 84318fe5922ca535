// Choose one class among many by typing part of its name.

import { matchingClasses } from "./classes.js";
import { button, el } from "./dom.js";

export class ClassSearch {
  /** @type {string[]} */
  #classes = [];
  /** @type {string[]} */
  #matches = [];
  /** @type {(name: string) => void} */
  #choose = () => {};
  #active = 0;

  constructor() {
    this.list = el("ul", { role: "listbox", id: "classes", "aria-label": "Classes" });
    this.input = el("input", {
      type: "text",
      role: "combobox",
      "aria-expanded": "true",
      "aria-controls": "classes",
      "aria-label": "Search a class",
      placeholder: "Type part of a class name",
      autocomplete: "off",
      spellcheck: "false",
      on: { input: () => this.#filter(), keydown: (event) => this.#press(event) },
    });
    this.none = el("p", { class: "none" }, "No class has this in its name.");
    const cancel = button("Cancel", "Close the search", () => this.root.close());
    this.root = el(
      "dialog",
      { class: "search", "aria-label": "Search a class" },
      this.input,
      this.list,
      this.none,
      el("div", { class: "actions" }, cancel),
    );
  }

  /**
   * @param {string[]} classes in the order to show
   * @param {(name: string) => void} choose called once, with the class
   */
  open(classes, choose) {
    this.#classes = classes;
    this.#choose = choose;
    this.input.value = "";
    this.#filter();
    if (!this.root.open) this.root.showModal();
    this.input.focus();
  }

  #filter() {
    this.#matches = matchingClasses(this.#classes, this.input.value);
    this.#active = 0;
    this.none.hidden = this.#matches.length > 0;
    const items = this.#matches.map((name, i) =>
      el("li", { role: "option", id: `class-${i}`, dir: "auto", on: { click: () => this.#take(i) } }, name),
    );
    this.list.replaceChildren(...items);
    this.#mark();
  }

  #mark() {
    [...this.list.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === this.#active)));
    this.list.children[this.#active]?.scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-activedescendant", this.#matches.length ? `class-${this.#active}` : "");
  }

  /** @param {number} i */
  #take(i) {
    const name = this.#matches[i];
    this.root.close();
    if (name !== undefined) this.#choose(name);
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && this.#matches.length) {
      this.#active = (this.#active + step + this.#matches.length) % this.#matches.length;
      this.#mark();
    } else if (event.key === "Enter") this.#take(this.#active);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
