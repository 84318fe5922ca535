// Presses on their way to the server. Each has an id of its own, is kept until it is acknowledged, and is sent again:
// after a lost message, a killed server and a reload of the page. The server writes an id once, however often it comes.

/** @import { Texts } from "../sample.js" */

import { uniqueId } from "../server.js";

/**
 * @typedef {object} ReviewEvent
 * @property {string} id
 * @property {string} action
 * @property {string} [sample]
 * @property {string} [label] of a relabel
 * @property {Texts} [edit] of an edit
 * @property {string} [note]
 * @property {boolean} [again] on a sample that was decided before
 */

/** @typedef {Pick<Storage, "getItem" | "setItem" | "removeItem">} Store */

const RESEND = 1500; // ms without an answer
const RESTORED = 200; // ms until what an earlier page left is sent
const MOST = 500; // more than a person presses while a server starts again
const BARRIERS = ["undo", "redo"];

export class ReviewEvents {
  attempt = 0;
  #timer = 0;

  /**
   * @param {string} name of the review, for its store
   * @param {(events: ReviewEvent[], attempt: number) => void} send passes all unacknowledged events on, oldest first
   * @param {() => Store} openStore throws where the browser forbids it
   */
  constructor(name, send, openStore = () => sessionStorage) {
    this.name = `oga-review-${name}`;
    this.send = send;
    this.openStore = openStore;
    /** @type {ReviewEvent[]} */
    this.pending = this.#restore();
    if (this.pending.length) this.#sendLater(RESTORED);
  }

  get isFull() {
    return this.pending.length >= MOST;
  }

  /** What comes next depends on the server's answer to an undo or to a second decision on an earlier sample. */
  get isBlocked() {
    return this.pending.some((event) => BARRIERS.includes(event.action) || event.again);
  }

  /** @param {string} sample */
  has(sample) {
    return this.pending.some((event) => event.sample === sample);
  }

  /** @param {Omit<ReviewEvent, "id">} event */
  add(event) {
    this.pending.push({ id: uniqueId(), ...event });
    this.#keep();
    this.#sendNow();
  }

  /**
   * Drop what the server has handled; return those events, oldest first.
   *
   * @param {string[]} ids
   */
  acknowledge(ids) {
    const handled = this.pending.filter((event) => ids.includes(event.id));
    if (!handled.length) return handled;
    this.pending = this.pending.filter((event) => !ids.includes(event.id));
    this.#keep();
    clearTimeout(this.#timer);
    if (this.pending.length) this.#sendLater(RESEND);
    return handled;
  }

  close() {
    clearTimeout(this.#timer);
  }

  #sendNow() {
    this.attempt += 1;
    this.send(this.pending, this.attempt);
    this.#sendLater(RESEND);
  }

  /** @param {number} wait */
  #sendLater(wait) {
    clearTimeout(this.#timer);
    this.#timer = Number(setTimeout(() => this.pending.length && this.#sendNow(), wait));
  }

  #keep() {
    try {
      const store = this.openStore();
      if (this.pending.length) store.setItem(this.name, JSON.stringify(this.pending));
      else store.removeItem(this.name);
    } catch {
      // A full or forbidden store costs only the safety net for a reload.
    }
  }

  /** @returns {ReviewEvent[]} */
  #restore() {
    try {
      const events = JSON.parse(this.openStore().getItem(this.name) ?? "[]");
      return Array.isArray(events) ? events : [];
    } catch {
      return [];
    }
  }
}
