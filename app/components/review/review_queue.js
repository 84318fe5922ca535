// Review by keyboard: one sample, its labels, and keys that are never lost. See review_queue.py for the protocol.

import { addStyle, closeByEscape, el, fetchJson, keepView, themeOf } from "../common.js";
import { ClassSearch } from "../class_search.js";
import { commandOf, isForReview, KeySheet } from "./keys.js";
import { ReviewEvents } from "./events.js";
import { actionButtons, classButtons, labelsOf, numberedClasses, progressLine } from "./panel.js";
import { samplePreview } from "../sample_preview.js";
import style from "./review_queue.css";
import previewStyle from "../sample_preview.css";

const HISTORY = 100;
const WAITING = 500;
const REST = 600;
const DECISIONS = ["keep", "relabel", "remove", "unsure"];

export function mount(component) {
  return keepView(component, (first) => new ReviewQueue(first));
}

class ReviewQueue {
  constructor({ parentElement: place, data }) {
    this.samples = new Map();
    this.order = [];
    this.classes = [];
    this.history = [];
    this.undone = [];
    this.waiting = [];
    this.notes = new Map();
    // A saliency map colours the judgement: it shows when it is asked for.
    this.withOverlay = false;
    this.sheet = new KeySheet();
    this.search = new ClassSearch();
    this.progress = el("div", { class: "progress" });
    this.position = el("div", { class: "position" });
    this.stage = el("div", { class: "stage" });
    this.labels = el("div", { class: "about" });
    this.classList = el("ol", { class: "classes", "aria-label": "Classes" });
    this.note = el("textarea", { rows: "2", "aria-label": "Note", placeholder: "Note (Escape to go on)", hidden: true, dir: "auto",
      on: { input: () => this.notes.set(this.shown, this.note.value), keydown: (event) => this.#noteKey(event) } });
    this.state = el("p", { class: "state", role: "status" });
    this.live = el("div", { class: "hidden", "aria-live": "polite" });
    const { decide, other, overlay } = actionButtons((name) => { this.#command({ name }); this.#refocus(name); });
    this.panel = el("div", { class: "panel" }, this.labels, this.classList, el("div", { class: "actions decide" }, decide),
      this.note, el("div", { class: "actions" }, other, overlay), this.state);
    this.overlay = overlay;
    this.root = el("section", { class: "review", tabindex: "0", "aria-label": "Review. Press question mark for the keys." },
      el("div", { class: "top" }, this.progress, this.position), el("div", { class: "body" }, this.stage, this.panel),
      this.live, this.sheet.root, this.search.root);
    for (const dialog of [this.sheet.root, this.search.root]) closeByEscape(dialog, () => this.#refocus());
    addStyle(place, style, previewStyle);
    place.append(this.root);
    this.events = new ReviewEvents(data.store, (pending, attempt) => this.#send(pending, attempt));
    // Before everyone else: Streamlit itself reruns the page on "r".
    this.listener = (event) => this.#press(event);
    window.addEventListener("keydown", this.listener, true);
  }

  destroy() {
    window.removeEventListener("keydown", this.listener, true);
    this.events.close();
    clearTimeout(this.resting);
    this.root.remove();
  }

  update({ data, setStateValue }) {
    this.setState = setStateValue;
    themeOf(this.root);
    this.root.style.minHeight = `${data.height}px`;
    for (const sample of data.samples) this.#learn(sample);
    this.order = data.order;
    this.total = data.progress;
    this.#names(data.classes);
    const done = this.events.acknowledge(data.acked);
    for (const event of done) this.#settle(event, data.errors[event.id]);
    this.#forget();
    this.#askMissing();
    if (done.some((event) => event.sample === this.back && !data.errors[event.id])) this.back = null;
    this.#drain();
    this.#draw();
  }

  // The sample on screen: the first without a decision on disk, or an earlier one that is looked at again.
  get shown() {
    return this.back ?? this.order[0];
  }

  // The sample the next press is for: the first that has no decision, on disk or on the way.
  get target() {
    if (this.events.blocked) return undefined;
    if (this.back) return this.back;
    return this.order.find((id) => !this.events.has(id));
  }

  #learn(sample) {
    this.samples.set(sample.id, sample);
    if (sample.image) new Image().src = sample.image;
  }

  async #names(url) {
    if (!url || url === this.classesUrl) return;
    this.classesUrl = url;
    this.classes = await fetchJson(url);
    this.#draw();
  }

  #settle(event, error) {
    if (error) return this.#say(error);
    const decided = ({ sample, action, label, note }) =>
      Object.assign(this.samples.get(sample) ?? {}, { decision: action, new_label: label, note });
    if (event.action === "undo" && this.history.length) {
      const last = this.history.pop();
      this.undone.push(last);
      decided({ sample: last.sample, note: last.note });
    } else if (event.action === "redo" && this.undone.length) {
      const next = this.undone.pop();
      this.history.push(next);
      decided(next);
    }
    if (!DECISIONS.includes(event.action)) return;
    this.undone = [];
    this.notes.delete(event.sample);
    decided(event);
    this.history = [...this.history.filter(({ sample }) => sample !== event.sample), event].slice(-HISTORY);
  }

  // Keep what may be shown again, so that memory does not grow through a long review.
  #forget() {
    const events = [...this.history, ...this.undone, ...this.events.pending];
    const needed = new Set([...this.order, ...events.map((event) => event.sample)]);
    for (const id of this.samples.keys()) if (!needed.has(id)) this.samples.delete(id);
  }

  // A message that overtook another may have taken samples with it.
  #askMissing() {
    const missing = this.order.filter((id) => !this.samples.has(id)).join("\n");
    if (missing && missing !== this.asked) this.#send(this.events.pending, `missing ${++this.events.attempt}`);
    this.asked = missing;
  }

  #send(events, attempt) {
    const have = this.order.filter((id) => this.samples.has(id));
    this.setState("events", { events, have, attempt });
  }

  #press(event) {
    if (!this.root.isConnected || this.root.offsetParent === null || event.defaultPrevented) return;
    if (!isForReview(event, this.root, this.sheet.anywhere)) return;
    const command = commandOf(event);
    if (!command) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    // A key held down must not decide on sample after sample.
    if (!event.repeat || ["back", "forth"].includes(command.name)) this.#command(command);
  }

  #command({ name, number }) {
    switch (name) {
      case "help": return this.sheet.open();
      case "search": return this.#openSearch();
      case "note": return this.#openNote();
      case "overlay": this.withOverlay = !this.withOverlay; this.drawn = null; return this.#draw();
      case "back": return this.#look(1);
      case "forth": return this.#look(-1);
      case "class": {
        // A number means the class that had it on screen when it was pressed.
        const label = numberedClasses(this.samples.get(this.shown), this.classes)[number - 1];
        if (label !== undefined) return this.#enqueue({ action: "relabel", label });
        return this.#say(this.classes.length ? `There is no class ${number}.` : "The classes are still loading; press again.");
      }
      default: return this.#enqueue({ action: name });
    }
  }

  #enqueue(press) {
    if (this.waiting.length >= WAITING || this.events.full) return this.#say("The server does not answer; this press was not taken.");
    this.waiting.push(press);
    this.#drain();
    this.#draw();
  }

  // Turn presses into events as far as their samples are known; the rest wait, in order.
  #drain() {
    while (this.waiting.length && !this.events.blocked) {
      const press = this.waiting[0];
      if (press.action === "undo" || press.action === "redo") {
        this.back = null;
        this.events.add({ action: press.action });
      } else {
        const sample = press.sample ?? this.target;
        if (sample === undefined || !this.samples.has(sample)) {
          if (!this.order.length) this.waiting = [];
          return;
        }
        const event = this.#decision(press, this.samples.get(sample));
        if (event) this.events.add(event);
      }
      this.waiting.shift();
    }
  }

  #decision({ action, label }, sample) {
    const chosen = action === "suggestion" ? sample.predicted : label;
    if (action === "suggestion" && chosen === undefined) return this.#say("There is no suggestion for this sample.");
    const keeps = chosen !== undefined && chosen === sample.given;
    const decided = chosen === undefined ? action : keeps ? "keep" : "relabel";
    return {
      action: decided, sample: sample.id, label: decided === "relabel" ? chosen : undefined,
      note: this.notes.get(sample.id) ?? sample.note, again: this.back === sample.id || undefined,
    };
  }

  #look(by) {
    const at = this.back ? this.history.findIndex(({ sample }) => sample === this.back) : this.history.length;
    const to = at - by;
    if (to < 0) return this.#say("There is no earlier decision of this session.");
    this.back = to >= this.history.length ? null : this.history[to].sample;
    this.#draw();
  }

  #openSearch() {
    const sample = this.samples.get(this.shown);
    if (!sample || !this.classes.length) return;
    const likely = (sample.probabilities ?? []).map(([name]) => name);
    const rest = this.classes.filter((name) => !likely.includes(name));
    this.search.open([...likely, ...rest], (label) => {
      // Chosen for the sample that was looked at; it may have been decided meanwhile by an earlier press.
      if (!this.events.has(sample.id)) this.#enqueue({ action: "relabel", label, sample: sample.id });
    });
  }

  #openNote() {
    this.note.hidden = false;
    this.note.focus();
  }

  #noteKey(event) {
    event.stopPropagation();
    if (event.key !== "Escape" && !(event.key === "Enter" && (event.ctrlKey || event.metaKey))) return;
    event.preventDefault();
    this.#refocus();
  }

  // After a click the keys must reach the review again, and Enter must not press the same button.
  #refocus(name) {
    if (name !== "note") this.root.focus({ preventScroll: true });
  }

  #say(text) {
    this.said = text;
    this.state.textContent = text;
  }

  #draw() {
    this.progress.replaceChildren(...progressLine(this.total));
    this.#drawState();
    const id = this.shown;
    const sample = this.samples.get(id);
    const drawn = sample ? `${id} ${Boolean(this.back)} ${sample.decision} ${this.classes.length}` : `none ${id}`;
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    this.said = "";
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.#rest(id), REST);
    this.panel.hidden = !sample;
    this.position.textContent = sample ? [this.back && "looking back", sample.position, id].filter(Boolean).join(" · ") : "";
    const nothing = id === undefined ? "Everything in this queue is decided." : "Loading …";
    if (!sample) return this.stage.replaceChildren(el("p", { class: "empty" }, nothing));
    this.stage.replaceChildren(...samplePreview(this.withOverlay ? sample : { ...sample, overlay: null }));
    this.stage.scrollTop = 0;
    this.overlay.hidden = !sample.overlay;
    this.overlay.setAttribute("aria-pressed", String(this.withOverlay));
    this.labels.replaceChildren(...labelsOf(sample));
    this.classList.replaceChildren(...classButtons(sample, this.classes, (label) => {
      this.#enqueue({ action: "relabel", label });
      this.#refocus();
    }));
    const note = this.notes.get(id) ?? sample.note ?? "";
    this.note.value = note;
    this.note.hidden = !note;
    this.live.textContent = [sample.position, sample.given && `given ${sample.given}`, sample.predicted && `suggested ${sample.predicted}`,
      sample.why].filter(Boolean).join(". ");
  }

  // What takes longer than the sample itself is worth showing only where the person stops.
  #rest(id) {
    if (id !== undefined && !this.events.pending.length && id !== this.rested) this.setState("resting", id);
    this.rested = id;
  }

  #drawState() {
    const unsaved = this.events.pending.length;
    const waiting = this.waiting.length;
    this.root.classList.toggle("saving", unsaved > 0);
    if (this.events.attempt > 0 && unsaved > 20) this.state.textContent = `${unsaved} decisions are not saved yet.`;
    else if (unsaved) this.state.textContent = waiting ? `Saving; ${waiting} more waiting.` : "Saving.";
    else this.state.textContent = this.said || (this.events.attempt ? "Saved." : "");
  }
}
