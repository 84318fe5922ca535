// Two tabs of one reviewer on one queue: what is decided in one must not stand open in the other.

export class OtherTabs {
  /** @type {BroadcastChannel | null} */
  #channel = null;

  /**
   * @param {string} queue its name, which holds the run and the reviewer
   * @param {(samples: string[]) => void} hear called with ids that another tab has decided or taken back
   */
  constructor(queue, hear) {
    if (typeof BroadcastChannel === "undefined") return;
    this.#channel = new BroadcastChannel(`oga-review-${queue}`);
    this.#channel.onmessage = ({ data }) => Array.isArray(data) && hear(data.map(String));
  }

  /** @param {string[]} samples that are on disk now; "" for an undo or redo, whose samples the server knows */
  tell(samples) {
    if (samples.length) this.#channel?.postMessage(samples);
  }

  close() {
    this.#channel?.close();
  }
}
