// Presses on their way to the server. Each has an id of its own, is kept until it is acknowledged, and is sent again:
// after a lost message, a killed server and a reload of the page. The server writes an id once, however often it comes.

import { uniqueId } from "../common.js";

const RESEND = 1500;
const MOST = 500;
const BARRIERS = ["undo", "redo"];

export class ReviewEvents {
  // `send(events)` passes all unacknowledged events to the server, oldest first.
  constructor(place, send) {
    this.place = `oga-review-${place}`;
    this.send = send;
    this.pending = this.#restore();
    this.attempt = 0;
    if (this.pending.length) this.#later(200);
  }

  get full() {
    return this.pending.length >= MOST;
  }

  // What comes next depends on the server's answer to an undo or to a second decision on an earlier sample.
  get blocked() {
    return this.pending.some((event) => BARRIERS.includes(event.action) || event.again);
  }

  has(sample) {
    return this.pending.some((event) => event.sample === sample);
  }

  add(event) {
    const whole = { id: uniqueId(), ...event };
    this.pending.push(whole);
    this.#keep();
    this.#now();
    return whole;
  }

  // Drop what the server has handled; return those events, oldest first.
  acknowledge(ids) {
    const handled = new Set(ids);
    const done = this.pending.filter((event) => handled.has(event.id));
    if (!done.length) return done;
    this.pending = this.pending.filter((event) => !handled.has(event.id));
    this.#keep();
    clearTimeout(this.timer);
    if (this.pending.length) this.#later(RESEND);
    return done;
  }

  close() {
    clearTimeout(this.timer);
  }

  #now() {
    this.attempt++;
    this.send(this.pending, this.attempt);
    this.#later(RESEND);
  }

  #later(wait) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.pending.length && this.#now(), wait);
  }

  #keep() {
    try {
      if (this.pending.length) sessionStorage.setItem(this.place, JSON.stringify(this.pending));
      else sessionStorage.removeItem(this.place);
    } catch {
      // A full or forbidden store costs only the safety net for a reload.
    }
  }

  #restore() {
    try {
      const kept = JSON.parse(sessionStorage.getItem(this.place) ?? "[]");
      return Array.isArray(kept) ? kept : [];
    } catch {
      return [];
    }
  }
}
