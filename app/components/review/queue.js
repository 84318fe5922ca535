// The state of the review: which sample is shown, which the next press is for, and what has been decided.

/** @import { Sample, Texts } from "../sample.js" */
/** @import { ReviewEvent, ReviewEvents } from "./events.js" */

/** A key or a click; `label` is a class, `edit` new texts, `sample` the one it is for, where that is known. */
/** @typedef {{ action: string, label?: string, edit?: Texts, sample?: string }} Press */

/**
 * @typedef {object} Answer what the server sends
 * @property {Sample[]} samples
 * @property {string[]} order ids of the samples without a decision, the current one first
 * @property {string[]} acked ids of events that were handled
 * @property {Record<string, string>} errors their messages, by event
 */

const HISTORY = 100; // decisions that can be looked back at
const WAITING = 500; // presses that wait for their samples
const DECISIONS = ["keep", "relabel", "remove", "unsure", "edit", "swap"];

export class Queue {
  /** @type {Map<string, Sample>} */
  samples = new Map();
  /** @type {string[]} */
  order = [];
  /** @type {Press[]} */
  waiting = [];
  /** @type {ReviewEvent[]} */
  #history = [];
  /** @type {ReviewEvent[]} */
  #undone = [];
  /** @type {Map<string, string>} notes that no decision has taken along yet */
  #notes = new Map();
  /** @type {string | null} an earlier sample that is looked at again */
  #earlier = null;

  /**
   * @param {ReviewEvents} events
   * @param {(text: string) => void} say
   */
  constructor(events, say) {
    this.events = events;
    this.say = say;
  }

  /** The id of the sample on screen: the first without a decision on disk, or an earlier one that is looked at again. */
  get shown() {
    return this.#earlier ?? this.order[0];
  }

  get isLookingBack() {
    return this.#earlier !== null;
  }

  /** The id of the sample the next press is for: the first that has no decision, on disk or on the way. */
  get target() {
    return this.#earlier ?? this.order.find((id) => !this.events.has(id));
  }

  /** Ids that were announced without their samples: a message that overtook another may have taken them with it. */
  get missing() {
    return this.order.filter((id) => !this.samples.has(id));
  }

  /**
   * @param {Answer} answer
   * @returns {string[]} ids of the samples on which the server has written something
   */
  update({ samples, order, acked, errors }) {
    for (const sample of samples) this.samples.set(sample.id, sample);
    this.order = order;
    const handled = this.events.acknowledge(acked);
    for (const event of handled) this.#settle(event, errors[event.id]);
    this.#forget();
    if (handled.some((event) => event.sample === this.#earlier && !errors[event.id])) this.#earlier = null;
    this.#drain();
    return handled.filter(({ id }) => !errors[id]).map(({ sample = "" }) => sample);
  }

  /** @param {Press} press */
  press(press) {
    if (this.waiting.length >= WAITING || this.events.isFull) {
      this.say("The server does not answer; this press was not taken.");
      return;
    }
    this.waiting.push(press);
    this.#drain();
  }

  /**
   * Look at earlier decisions of this session, or forth again.
   *
   * @param {number} by how many decisions back
   */
  look(by) {
    const current = this.#history.findIndex(({ sample }) => sample === this.#earlier);
    const position = (current < 0 ? this.#history.length : current) - by;
    if (position < 0) this.say("There is no earlier decision of this session.");
    else this.#earlier = this.#history[position]?.sample ?? null;
  }

  /** @param {string} id */
  noteOf(id) {
    return this.#notes.get(id) ?? this.samples.get(id)?.note ?? "";
  }

  /**
   * Keep a note for the decision on a sample.
   *
   * @param {string} id
   * @param {string} text
   */
  setNote(id, text) {
    this.#notes.set(id, text);
  }

  /**
   * Save the note on a sample: with the decision that stands, written again, or with the one to come.
   *
   * @param {string} id
   */
  saveNote(id) {
    const { decision, new_label: label, edit, note = "" } = this.samples.get(id) ?? {};
    if (!decision || this.noteOf(id) === note) this.say("The note goes along with your decision.");
    else this.press({ action: decision, label, edit, sample: id });
  }

  /**
   * @param {ReviewEvent} event that the server has handled
   * @param {string | undefined} error
   */
  #settle(event, error) {
    if (error) {
      this.say(error);
    } else if (event.action === "undo") {
      const last = this.#history.pop();
      if (!last) return;
      this.#undone.push(last);
      this.#mark(last, { decision: undefined, new_label: undefined, edit: undefined });
    } else if (event.action === "redo") {
      const next = this.#undone.pop();
      if (!next) return;
      this.#history.push(next);
      this.#mark(next, { decision: next.action, new_label: next.label, edit: next.edit });
    } else if (DECISIONS.includes(event.action)) {
      this.#undone = [];
      this.#notes.delete(event.sample ?? "");
      this.#mark(event, { decision: event.action, new_label: event.label, edit: event.edit });
      const others = this.#history.filter(({ sample }) => sample !== event.sample);
      this.#history = [...others, event].slice(-HISTORY);
    }
  }

  /**
   * @param {ReviewEvent} event
   * @param {Pick<Sample, "decision" | "new_label" | "edit">} decision
   */
  #mark({ sample, note }, decision) {
    const known = this.samples.get(sample ?? "");
    if (known) Object.assign(known, decision, { note });
  }

  /** Keep what may be shown again, so that memory does not grow through a long review. */
  #forget() {
    const events = [...this.#history, ...this.#undone, ...this.events.pending];
    const needed = new Set([...this.order, ...events.map((event) => event.sample)]);
    for (const id of this.samples.keys()) if (!needed.has(id)) this.samples.delete(id);
  }

  /** Turn presses into events as far as their samples are known; the rest wait, in order. */
  #drain() {
    while (this.waiting.length && !this.events.isBlocked) {
      const press = this.waiting[0];
      if (press.action === "undo" || press.action === "redo") {
        this.#earlier = null;
        this.events.add({ action: press.action });
      } else {
        const sample = this.samples.get(press.sample ?? this.target ?? "");
        if (!sample) {
          if (!this.order.length) this.waiting = [];
          return;
        }
        const event = this.#decision(press, sample);
        if (event) this.events.add(event);
        else this.say("There is no suggestion for this sample.");
      }
      this.waiting.shift();
    }
  }

  /**
   * The decision that a press makes on a sample; null where it takes a suggestion that is not there.
   *
   * @param {Press} press
   * @param {Sample} sample
   */
  #decision({ action, label, edit }, sample) {
    const takesSuggestion = action === "suggestion";
    const name = takesSuggestion ? sample.predicted : label;
    if (takesSuggestion && name === undefined) return null;
    const again = this.#earlier === sample.id || undefined;
    const decision = { sample: sample.id, edit, note: this.#notes.get(sample.id) ?? sample.note, again };
    if (name === undefined) return { action, ...decision };
    return name === sample.given ? { action: "keep", ...decision } : { action: "relabel", label: name, ...decision };
  }
}
