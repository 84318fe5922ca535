// Choose one class among many by typing part of its name.

import { button, el } from "./common.js";

const SHOWN = 50;

export class ClassSearch {
  constructor() {
    this.list = el("ul", { role: "listbox", id: "classes", "aria-label": "Classes" });
    this.input = el("input", {
      type: "text", role: "combobox", "aria-expanded": "true", "aria-controls": "classes", "aria-label": "Search a class",
      placeholder: "Type part of a class name", autocomplete: "off", spellcheck: "false",
      on: { input: () => this.#filter(), keydown: (event) => this.#press(event) },
    });
    this.none = el("p", { class: "none" }, "No class has this in its name.");
    this.root = el("dialog", { class: "search", "aria-label": "Search a class" }, this.input, this.list, this.none,
      el("div", { class: "actions" }, button("Cancel", "Close the search", () => this.root.close())));
  }

  // `classes` come in the order to show; `chosen(name)` is called once.
  open(classes, chosen) {
    this.classes = classes;
    this.chosen = chosen;
    this.input.value = "";
    this.#filter();
    if (!this.root.open) this.root.showModal();
    this.input.focus();
  }

  #filter() {
    const wanted = this.input.value.trim().toLocaleLowerCase();
    const begins = [], contains = [];
    for (const name of this.classes) {
      const at = name.toLocaleLowerCase().indexOf(wanted);
      if (at >= 0) (at === 0 ? begins : contains).push(name);
    }
    this.found = [...begins, ...contains].slice(0, SHOWN);
    this.active = 0;
    this.none.hidden = this.found.length > 0;
    this.list.replaceChildren(...this.found.map((name, i) =>
      el("li", { role: "option", id: `class-${i}`, dir: "auto", on: { click: () => this.#take(i) } }, name)));
    this.#mark();
  }

  #mark() {
    [...this.list.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === this.active)));
    this.list.children[this.active]?.scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-activedescendant", this.found.length ? `class-${this.active}` : "");
  }

  #take(i) {
    this.root.close();
    if (this.found[i] !== undefined) this.chosen(this.found[i]);
  }

  #press(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (steps[event.key] && this.found.length) {
      this.active = (this.active + steps[event.key] + this.found.length) % this.found.length;
      this.#mark();
    } else if (event.key === "Enter") this.#take(this.active);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
