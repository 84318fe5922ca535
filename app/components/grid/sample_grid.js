// A page of samples as tiles, with selection by mouse and keyboard and a bar to decide on all that is selected.

/** @import { Sample } from "../sample.js" */
/** @import { Component, Send } from "../server.js" */
/** @import { Question } from "./bar.js" */
/** @import { GridCommand, Verb } from "./keys.js" */

import { ClassSearch } from "../class_search.js";
import { numberedOnPage } from "../classes.js";
import { addStyle, closeByEscape, el } from "../dom.js";
import { count } from "../format.js";
import { fetchJson, keepView, reason, uniqueId } from "../server.js";
import { themeOf } from "../theme.js";
import { classButton, questionBar, selectionBar } from "./bar.js";
import { gridCommand } from "./keys.js";
import { Selection } from "./selection.js";
import { gridTile, markTile } from "./tile.js";
import style from "./sample_grid.css";
import previewStyle from "../sample_preview.css";
import searchStyle from "../class_search.css";

/**
 * @typedef {object} GridData what Python sends
 * @property {string} page address of the samples and classes
 * @property {string[] | null} selected
 * @property {Verb[]} verbs what can be decided on a selection, none where nothing can
 * @property {number} total samples in the list that the page is of
 * @property {boolean} canOpen
 * @property {number} size of a tile
 * @property {boolean} [rows] one sample a line, its labels beside its words
 * @property {number | null} height
 */

/** @param {Component<GridData>} component */
export function mount(component) {
  return keepView(component, (first) => new SampleGrid(first));
}

class SampleGrid {
  selection = new Selection();
  /** @type {HTMLElement[]} */
  #tiles = [];
  /** @type {string[]} */
  #classes = [];
  /** @type {{ key: string, name: string }[]} classes with a key */
  #numbered = [];
  /** @type {Question | null} */
  #question = null;
  /** @type {Send} */
  #send = () => {};
  #page = "";
  /** Whether all samples of the list are selected, those of other pages too. */
  #isEvery = false;
  /** @type {string | null} the selection that Python set last */
  #setSelection = null;

  /** @param {Component<GridData>} component */
  constructor({ parentElement: place, data }) {
    this.data = data;
    this.search = new ClassSearch();
    this.grid = el("div", { class: "grid", role: "listbox", "aria-multiselectable": "true", "aria-label": "Samples" });
    this.bar = el("div", { class: "bar", role: "toolbar", "aria-label": "Selection" });
    // Always there: a row that came with the selection would move the tiles from under the pointer.
    this.keys = el("div", { class: "keys", role: "toolbar", "aria-label": "Classes" });
    this.live = el("div", { class: "hidden", "aria-live": "polite" });
    this.root = el(
      "section",
      { class: "page" },
      el("div", { class: "head" }, this.bar, this.keys),
      this.grid,
      this.live,
      this.search.root,
    );
    this.grid.addEventListener("click", (event) => this.#click(event));
    this.grid.addEventListener("dblclick", (event) => this.data.verbs.length > 0 && this.#open(this.#indexOf(event)));
    this.root.addEventListener("keydown", (event) => this.#press(event));
    closeByEscape(this.search.root, () => this.#question || this.#refocus());
    addStyle(place, style, previewStyle, searchStyle);
    place.append(this.root);
  }

  destroy() {
    this.root.remove();
  }

  /** @param {Component<GridData>} component */
  async update({ data, setStateValue }) {
    this.#send = setStateValue;
    this.data = data;
    themeOf(this.root);
    this.root.style.setProperty("--tile", `${data.size}px`);
    this.root.classList.toggle("rows", Boolean(data.rows));
    this.grid.style.maxHeight = data.height ? `${data.height}px` : "";
    if (data.page !== this.#page && !(await this.#load(data.page))) return;
    const selected = data.selected?.join("\n") ?? null;
    if (data.selected && selected !== this.#setSelection) this.selection.set(data.selected);
    this.#setSelection = selected;
    this.#draw();
  }

  /**
   * @param {string} page
   * @returns {Promise<boolean>} whether it is shown: not where it failed or a later page has been asked for meanwhile
   */
  async #load(page) {
    try {
      const content = await fetchJson(page);
      if (this.data.page !== page) return false;
      this.#fill(content);
      this.#page = page;
      return true;
    } catch (error) {
      const text = `The samples could not be loaded (${reason(error)}). Reload the page.`;
      this.grid.replaceChildren(el("p", {}, text));
      return false;
    }
  }

  /** @param {{ samples: Sample[], classes: string[] }} content */
  #fill({ samples, classes }) {
    this.#classes = classes;
    this.#numbered = numberedOnPage(samples, classes);
    const ask = (/** @type {Question} */ question) => this.#ask(question);
    this.keys.replaceChildren(...this.#numbered.map((numbered) => classButton(numbered, ask)));
    this.#question = null;
    this.#isEvery = false;
    this.#tiles = samples.map(gridTile);
    this.selection.setPage(samples.map((sample) => sample.id));
    this.grid.replaceChildren(...this.#tiles);
    if (!samples.length) this.grid.replaceChildren(el("p", { class: "empty" }, "There are no samples here."));
  }

  #draw() {
    const { page, current } = this.selection;
    this.#isEvery &&= this.selection.size === page.length;
    this.#tiles.forEach((tile, i) => markTile(tile, this.selection.has(page[i]), i === current));
    this.#drawBar();
  }

  /** How many samples a decision would reach. */
  get #reach() {
    return this.#isEvery ? this.data.total : this.selection.size;
  }

  #drawBar() {
    const { page } = this.selection;
    const { total, verbs } = this.data;
    const size = this.#reach;
    const actions = {
      ask: (/** @type {Question | null} */ question) => this.#ask(question),
      confirm: () => this.#confirm(),
      selectAll: (/** @type {boolean} */ all) => this.#selectAll(all),
      selectEvery: () => this.#selectAll(true, true),
    };
    this.bar.hidden = !page.length || !verbs.length;
    this.keys.hidden = this.bar.hidden;
    for (const node of this.keys.querySelectorAll("button")) node.disabled = !size || this.#question !== null;
    if (this.#question && size) this.bar.replaceChildren(...questionBar(this.#question, size, actions));
    else this.bar.replaceChildren(...selectionBar({ selected: size, shown: page.length, total }, verbs, actions));
  }

  /** @param {Question | null} question */
  #ask(question) {
    if (question?.action === "relabel" && question.label === undefined) {
      this.search.open(this.#classes, (label) => this.#ask({ action: "relabel", label }));
      return;
    }
    this.#question = question;
    this.#drawBar();
    if (!question) {
      this.#refocus();
      return;
    }
    /** @type {HTMLButtonElement | null} */
    const yes = this.bar.querySelector(".yes");
    yes?.focus();
    this.live.textContent = this.bar.firstChild?.textContent ?? "";
  }

  /** The count is part of the question, and what is sent is what was counted. */
  #confirm() {
    const every = this.#isEvery;
    this.#send("bulk", { id: uniqueId(), ...this.#question, every, ids: every ? [] : this.selection.ids });
    this.live.textContent = `${count(this.#reach)} samples decided.`;
    this.#selectAll(false);
    this.#refocus();
  }

  /**
   * @param {boolean} all on this page
   * @param {boolean} every of the list, on other pages too
   */
  #selectAll(all, every = false) {
    this.selection.set(all ? this.selection.page : []);
    this.#isEvery = every;
    this.#question = null;
    this.#draw();
  }

  #refocus() {
    this.#tiles[this.selection.current]?.focus();
  }

  /** @param {MouseEvent} event */
  #indexOf(event) {
    const tile = event.target instanceof Element ? event.target.closest("[role=option]") : null;
    return this.#tiles.findIndex((other) => other === tile);
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const index = this.#indexOf(event);
    if (index < 0) return;
    this.#question = null;
    // Where nothing can be decided there is nothing to select: a click opens.
    if (!this.data.verbs.length) this.#open(index);
    else if (event.shiftKey) this.selection.extend(index);
    else this.selection.toggle(index);
    this.#focus(index, event.shiftKey);
  }

  /**
   * @param {number} index
   * @param {boolean} holdsAnchor
   */
  #focus(index, holdsAnchor) {
    this.selection.focus(index, holdsAnchor);
    this.#draw();
    this.#refocus();
  }

  /** @param {number} index */
  #open(index) {
    const id = this.selection.page[index];
    if (id !== undefined && this.data.canOpen) this.#send("open", { id, time: Date.now() });
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const [target] = event.composedPath();
    if (target instanceof Element && target.closest("dialog, button")) return;
    if (!this.#tiles.length) return;
    const top = this.#tiles[0].offsetTop;
    const perRow = this.#tiles.filter((tile) => tile.offsetTop === top).length;
    const command = gridCommand(event, { current: this.selection.current, count: this.#tiles.length, perRow });
    if (!command || !this.#command(command)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /**
   * @param {GridCommand} command
   * @returns {boolean} whether it means something here
   */
  #command(command) {
    const canBulk = this.data.verbs.length > 0;
    if (command.name === "go") {
      if (command.extends && canBulk) this.selection.extend(command.to);
      this.#focus(command.to, command.extends);
      return true;
    }
    if (command.name === "open") {
      this.#open(this.selection.current);
      return true;
    }
    if (!canBulk) return false;
    if (command.name === "ask" || command.name === "class") {
      const question = this.selection.size ? this.#questionOf(command) : null;
      if (question) this.#ask(question);
      return question !== null;
    }
    if (command.name === "toggle") {
      this.selection.toggle(this.selection.current);
      this.#draw();
    } else {
      this.#selectAll(command.name === "all");
    }
    return true;
  }

  /**
   * @param {Extract<GridCommand, { name: "ask" | "class" }>} command
   * @returns {Question | null}
   */
  #questionOf(command) {
    if (command.name === "ask") return this.data.verbs.includes(command.verb) ? { action: command.verb } : null;
    const label = this.#numbered.find(({ key }) => key === command.key)?.name;
    return label === undefined ? null : { action: "relabel", label };
  }
}
