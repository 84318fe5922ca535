// Review by keyboard: one sample, its labels, and keys that are never lost. See review_queue.py for the protocol.

/** @import { Sample, Texts } from "../sample.js" */
/** @import { Component, Send } from "../server.js" */
/** @import { Pair } from "./choice.js" */
/** @import { ReviewEvent } from "./events.js" */
/** @import { Action, Command } from "./keys.js" */
/** @import { Progress } from "./panel.js" */
/** @import { Answer, Press } from "./queue.js" */

import { addStyle, closeByEscape, el } from "../dom.js";
import { joined } from "../format.js";
import { keepView } from "../server.js";
import { themeOf } from "../theme.js";
import { Choice } from "./choice.js";
import { ReviewEvents } from "./events.js";
import { Editor } from "./editing/editor.js";
import { commandOf, isAllowed } from "./keys.js";
import { Note } from "./note.js";
import { Panel, progressLine, spokenOf, stateText } from "./panel.js";
import { Queue } from "./queue.js";
import { Rest } from "./rest.js";
import { isForReview, KeySheet } from "./sheet.js";
import { Stage } from "./stage.js";
import { OtherTabs } from "./tabs.js";
import { NewValue } from "./editing/value.js";
import style from "./review_queue.css";
import previewStyle from "../sample_preview.css";
import searchStyle from "../class_search.css";

/**
 * @typedef {Answer & { progress: Progress, actions?: string[], classes: string | null,
 *   pair?: Pair | null, height: number, store: string }} ReviewData
 */

const ACTIONS = ["keep", "relabel", "remove", "unsure"]; // where the server names none

/** @param {Component<ReviewData>} component */
export function mount(component) {
  return keepView(component, (first) => new ReviewQueue(first));
}

class ReviewQueue {
  /** @type {Progress} */
  #progress = {};
  /** @type {Send} */
  #send = () => {};
  // A saliency map colours the judgement: it shows when it is asked for.
  #withOverlay = false;
  #message = "";
  #heard = "";
  #asked = "";
  #drawn = "";

  /** @param {Component<ReviewData>} component */
  constructor({ parentElement: place, data }) {
    this.actions = data.actions ?? ACTIONS;
    this.sheet = new KeySheet(this.actions);
    this.rest = new Rest((id) => this.#send("resting", id));
    this.choice = new Choice();
    this.progress = el("div", { class: "progress" });
    this.position = el("div", { class: "position" });
    this.stage = new Stage();
    this.live = el("div", { class: "hidden", "aria-live": "polite" });
    const refocus = () => this.#refocus();
    this.note = new Note(
      (text) => this.queue.setNote(this.queue.shown, text),
      () => this.#saveNote(),
      refocus,
    );
    this.value = new NewValue((sample, label) => this.#enqueue({ action: "relabel", label, sample }), refocus);
    this.panel = new Panel(
      (name) => this.#act(name),
      (label) => this.#choose(label),
      [this.value.root, this.note.root],
      this.actions,
    );
    this.editor = new Editor((sample, edit) => this.#saveEdit(sample, edit), refocus);
    this.root = el(
      "section",
      { class: "review", tabindex: "0", "aria-label": "Review. Press question mark for the keys." },
      el("div", { class: "top" }, this.progress, this.position),
      el("div", { class: "body" }, el("div", { class: "left" }, this.stage.root, this.editor.root), this.panel.root),
      this.live,
      this.sheet.root,
      this.choice.search.root,
    );
    closeByEscape(this.sheet.root, refocus);
    closeByEscape(this.choice.search.root, refocus);
    addStyle(place, style, previewStyle, searchStyle);
    place.append(this.root);
    this.events = new ReviewEvents(data.store, (events, attempt) => this.#sendEvents(events, String(attempt)));
    this.queue = new Queue(this.events, (text) => this.#say(text));
    this.tabs = new OtherTabs(data.store, (ids) => this.#hear(ids));
    // Before everyone else: Streamlit itself reruns the page on "r".
    this.listener = (/** @type {KeyboardEvent} */ event) => this.#press(event);
    window.addEventListener("keydown", this.listener, true);
  }

  destroy() {
    window.removeEventListener("keydown", this.listener, true);
    this.events.close();
    this.tabs.close();
    this.rest.stop();
    this.root.remove();
  }

  /** @param {Component<ReviewData>} component */
  update({ data, setStateValue }) {
    this.#send = setStateValue;
    this.#progress = data.progress;
    themeOf(this.root);
    this.root.style.minHeight = `${data.height}px`;
    for (const { image } of data.samples) if (image) new Image().src = image; // decoded before it is shown
    this.choice.pair = data.pair ?? null;
    this.panel.setPair(this.choice.pair);
    this.choice.load(data.classes, () => this.#draw());
    this.tabs.tell(this.queue.update(data));
    this.#askMissing();
    this.#draw();
  }

  #askMissing() {
    const missing = this.queue.missing.join("\n");
    if (missing && missing !== this.#asked) {
      this.events.attempt += 1;
      this.#sendEvents(this.events.pending, `missing ${this.events.attempt}`);
    }
    this.#asked = missing;
  }

  /** @param {string[]} ids that another tab of this reviewer has decided */
  #hear(ids) {
    if (ids.includes(this.queue.shown)) this.#heard = "Decided in another tab of yours: the queue went on.";
    this.events.attempt += 1;
    this.#sendEvents(this.events.pending, `other tab ${this.events.attempt}`);
  }

  /**
   * @param {ReviewEvent[]} events
   * @param {string} attempt makes the message differ from the last
   */
  #sendEvents(events, attempt) {
    const have = this.queue ? this.queue.order.filter((id) => this.queue.samples.has(id)) : [];
    this.#send("events", { events, have, attempt });
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    if (!this.root.isConnected || this.root.offsetParent === null || event.defaultPrevented) return;
    if (!isForReview(event, this.root, this.sheet.anywhere)) return;
    const command = commandOf(event);
    if (!command || !isAllowed(command.name, this.actions)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    // A key held down must not decide on sample after sample.
    if (!event.repeat || command.name === "back" || command.name === "forth") this.#command(command);
  }

  /** @param {Command} command */
  #command(command) {
    switch (command.name) {
      case "help":
        return this.sheet.open();
      case "search":
        return this.#openSearch();
      case "note":
        return this.note.open();
      case "edit":
        return this.#edit();
      case "change":
        return this.value.open(this.queue.samples.get(this.queue.shown), this.choice.classes);
      case "overlay":
        this.#withOverlay = this.#withOverlay === this.stage.nextLayer(); // turned where there is no other layer
        return this.#draw();
      case "back":
        return this.#look(1);
      case "forth":
        return this.#look(-1);
      case "contrast":
        return this.stage.raiseContrast();
      case "zoom":
        return this.stage.zoom(command.factor);
      case "class":
        return this.#pressNumber(command.key);
      default:
        return this.#enqueue({ action: command.name });
    }
  }

  /** @param {string} number */
  #pressNumber(number) {
    const label = this.choice.numbered(this.queue.samples.get(this.queue.shown), number);
    if (label !== undefined) this.#enqueue({ action: "relabel", label });
    else this.#say(this.choice.missing(number));
  }

  /** @param {Press} press */
  #enqueue(press) {
    this.queue.press(press);
    this.#draw();
  }

  /**
   * After a click the keys must reach the review again, and Enter must not press the same button.
   *
   * @param {Action} name
   */
  #act(name) {
    this.#command({ name });
    if (!["note", "edit", "change"].includes(name)) this.#refocus();
  }

  /** @param {string} label */
  #choose(label) {
    this.#enqueue({ action: "relabel", label });
    this.#refocus();
  }

  #refocus() {
    this.root.focus({ preventScroll: true });
  }

  /** @param {number} by */
  #look(by) {
    this.queue.look(by);
    this.#draw();
  }

  #edit() {
    const sample = this.queue.samples.get(this.queue.shown);
    if (sample?.responses?.length) this.editor.open(sample);
    else this.#say("There is no response to edit in this row, or it is too long to be edited here.");
  }

  /**
   * @param {string} sample
   * @param {Texts} edit
   */
  #saveEdit(sample, edit) {
    if (edit.length) this.#enqueue({ action: "edit", edit, sample });
    else this.#say("The text is as it was. Keep the row instead.");
  }

  #saveNote() {
    this.queue.saveNote(this.queue.shown);
    this.#draw();
  }

  #openSearch() {
    const sample = this.queue.samples.get(this.queue.shown);
    this.choice.open(sample, (label) => {
      // Chosen for the sample that was looked at; it may have been decided meanwhile by an earlier press.
      if (sample && !this.events.has(sample.id)) this.#enqueue({ action: "relabel", label, sample: sample.id });
    });
  }

  /** @param {string} text */
  #say(text) {
    this.#message = text;
    this.panel.state.textContent = text;
  }

  #draw() {
    const { shown, isLookingBack } = this.queue;
    const sample = this.queue.samples.get(shown);
    const { decision, edit } = sample ?? {};
    const drawn = [shown, isLookingBack, decision, edit, this.choice.classes.length, this.#withOverlay, !sample].join();
    this.progress.replaceChildren(...progressLine(this.#progress));
    if (drawn !== this.#drawn) {
      this.#drawn = drawn;
      this.#message = this.#heard;
      this.#heard = "";
      this.#drawSample(shown, sample);
    }
    const waiting = this.queue.waiting.length;
    const state = stateText(this.events.pending.length, waiting) || this.#message;
    this.panel.state.textContent = state || (this.events.attempt ? "Saved." : "");
  }

  /**
   * @param {string} id
   * @param {Sample | undefined} sample
   */
  #drawSample(id, sample) {
    this.rest.watch(id, () => this.events.pending.length > 0);
    for (const field of [this.editor, this.value]) field.follow(id);
    this.panel.root.hidden = !sample;
    if (!sample) {
      this.position.textContent = "";
      this.stage.say(id === undefined ? "There is nothing left for you in this queue." : "Loading …");
      return;
    }
    this.position.textContent = joined(" · ", this.queue.isLookingBack && "looking back", sample.position, id);
    this.stage.show(sample, this.#withOverlay);
    this.panel.draw(sample, this.choice.classes, this.#withOverlay);
    this.note.set(this.queue.noteOf(id));
    this.live.textContent = spokenOf(sample);
  }
}
