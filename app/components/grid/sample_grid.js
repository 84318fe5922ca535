// A page of samples as tiles, with selection by mouse and keyboard and a bar to decide on all that is selected.

import { addStyle, button, closeByEscape, count, el, fetchJson, keepView, themeOf, uniqueId } from "../common.js";
import { ClassSearch } from "../class_search.js";
import { gridTile, markTile } from "./tile.js";
import style from "./sample_grid.css";
import previewStyle from "../sample_preview.css";

const VERBS = { keep: "Keep", relabel: "Relabel", remove: "Remove", unsure: "Mark as unsure" };
const KEYS = { k: "keep", l: "relabel", r: "remove", u: "unsure" };

export function mount(component) {
  return keepView(component, (first) => new SampleGrid(first.parentElement));
}

class SampleGrid {
  constructor(place) {
    this.selected = new Set();
    this.samples = [];
    this.tiles = [];
    this.current = 0;
    this.search = new ClassSearch();
    this.grid = el("div", { class: "grid", role: "listbox", "aria-multiselectable": "true", "aria-label": "Samples" });
    this.bar = el("div", { class: "bar", role: "toolbar", "aria-label": "Selection" });
    this.live = el("div", { class: "hidden", "aria-live": "polite" });
    this.root = el("section", { class: "page" }, this.bar, this.grid, this.live, this.search.root);
    this.grid.addEventListener("click", (event) => this.#click(event));
    this.grid.addEventListener("dblclick", (event) => this.data.canBulk && this.#open(this.#indexOf(event)));
    this.root.addEventListener("keydown", (event) => this.#press(event));
    closeByEscape(this.search.root, () => this.asked || this.tiles[this.current]?.focus());
    addStyle(place, style, previewStyle);
    place.append(this.root);
  }

  destroy() {
    this.root.remove();
  }

  async update({ data, setStateValue }) {
    this.send = setStateValue;
    themeOf(this.root);
    this.root.style.setProperty("--tile", `${data.size}px`);
    this.grid.style.maxHeight = data.height ? `${data.height}px` : "";
    this.data = data;
    if (data.page !== this.page) {
      let content;
      try {
        content = await fetchJson(data.page);
      } catch (error) {
        this.grid.replaceChildren(el("p", {}, `The samples could not be loaded (${error.message}). Reload the page.`));
        return;
      }
      // A later page has been asked for meanwhile.
      if (this.data.page !== data.page) return;
      this.#fill(content);
      this.page = data.page;
    }
    const given = data.selected && data.selected.join("\n");
    if (given !== null && given !== this.given) this.selected = new Set(data.selected);
    this.given = given;
    this.#draw();
  }

  #fill({ samples, classes }) {
    const before = this.samples[this.current]?.id;
    this.samples = samples;
    this.classes = classes;
    const shown = new Set(samples.map((sample) => sample.id));
    this.selected = new Set([...this.selected].filter((id) => shown.has(id)));
    this.asked = null;
    this.tiles = samples.map(gridTile);
    this.current = Math.max(0, samples.findIndex((sample) => sample.id === before));
    this.anchor = this.current;
    this.grid.replaceChildren(...this.tiles);
    if (!samples.length) this.grid.replaceChildren(el("p", { class: "empty" }, "There are no samples here."));
  }

  #draw() {
    this.tiles.forEach((tile, i) => markTile(tile, this.selected.has(this.samples[i].id), i === this.current));
    this.#drawBar();
  }

  #drawBar() {
    const chosen = this.selected.size;
    this.bar.hidden = !this.samples.length || !this.data.canBulk;
    const summary = el("span", { class: "count" }, chosen ? `${count(chosen)} of ${count(this.samples.length)} selected` : `${count(this.samples.length)} shown`);
    if (this.asked && chosen) {
      const { action, label } = this.asked;
      const text = label === undefined ? VERBS[action] : `${VERBS[action]} to ${label}`;
      const yes = button(`${text}: ${count(chosen)}`, `${text}: ${count(chosen)} samples`, () => this.#confirm(), { class: "yes" });
      this.bar.replaceChildren(el("span", { class: "count" }, `${text}, ${count(chosen)} ${chosen === 1 ? "sample" : "samples"}?`),
        yes, button("Cancel", "Cancel", () => this.#ask(null)));
      if (this.focusYes) yes.focus();
      this.focusYes = false;
      return;
    }
    const verbs = chosen ? Object.entries(KEYS).map(([key, action]) =>
      button([VERBS[action]], `${VERBS[action]} (${key})`, () => this.#ask({ action }), { "aria-keyshortcuts": key })) : [];
    this.bar.replaceChildren(summary, ...verbs,
      chosen < this.samples.length ? button("Select all", "Select all on this page", () => this.#all(true)) : "",
      chosen ? button("Select none", "Select none", () => this.#all(false)) : "");
  }

  #ask(asked) {
    if (asked?.action === "relabel" && asked.label === undefined) {
      this.search.open(this.classes, (label) => this.#ask({ action: "relabel", label }));
      return;
    }
    this.asked = asked;
    this.focusYes = Boolean(asked);
    this.#drawBar();
    if (asked) this.live.textContent = this.bar.firstChild.textContent;
    else this.tiles[this.current]?.focus();
  }

  // The count is part of the question, and what is sent is what was counted.
  #confirm() {
    const ids = this.samples.map((sample) => sample.id).filter((id) => this.selected.has(id));
    this.send("bulk", { id: uniqueId(), ...this.asked, ids });
    this.live.textContent = `${count(ids.length)} samples decided.`;
    this.asked = null;
    this.selected.clear();
    this.#draw();
    this.tiles[this.current]?.focus();
  }

  #all(on) {
    this.selected = new Set(on ? this.samples.map((sample) => sample.id) : []);
    this.asked = null;
    this.#draw();
  }

  #indexOf(event) {
    return this.tiles.indexOf(event.target.closest("[role=option]"));
  }

  #click(event) {
    const index = this.#indexOf(event);
    if (index < 0) return;
    this.asked = null;
    // Where nothing can be decided there is nothing to select: a click opens.
    if (!this.data.canBulk) this.#open(index);
    else if (event.shiftKey) this.#range(index);
    else this.#toggle(index);
    this.#go(index, !event.shiftKey);
  }

  #toggle(index) {
    const { id } = this.samples[index];
    if (!this.selected.delete(id)) this.selected.add(id);
  }

  #range(to) {
    const [low, high] = [Math.min(this.anchor, to), Math.max(this.anchor, to)];
    for (let i = low; i <= high; i++) this.selected.add(this.samples[i].id);
  }

  #go(index, anchors = true) {
    this.current = Math.min(this.tiles.length - 1, Math.max(0, index));
    if (anchors) this.anchor = this.current;
    this.#draw();
    this.tiles[this.current]?.focus();
  }

  #open(index) {
    if (index >= 0 && this.data.canOpen) this.send("open", { id: this.samples[index].id, time: Date.now() });
  }

  #press(event) {
    if (event.composedPath()[0].closest("dialog, button") || !this.tiles.length || event.altKey) return;
    const perRow = Math.max(1, this.tiles.filter((tile) => tile.offsetTop === this.tiles[0].offsetTop).length);
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -perRow, ArrowDown: perRow, Home: -this.current, End: this.tiles.length }[event.key];
    const command = event.ctrlKey || event.metaKey;
    if (step !== undefined && !command) {
      this.#go(this.current + step, !event.shiftKey);
      if (event.shiftKey && this.data.canBulk) this.#range(this.current);
      this.#draw();
    } else if (event.key === "Enter") this.#open(this.current);
    else if (!this.data.canBulk) return;
    else if (event.key === " ") {
      this.#toggle(this.current);
      this.#draw();
    } else if (event.key === "Escape") this.#all(false);
    else if (command && event.key.toLowerCase() === "a") this.#all(true);
    else if (!command && KEYS[event.key] && this.selected.size) this.#ask({ action: KEYS[event.key] });
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
