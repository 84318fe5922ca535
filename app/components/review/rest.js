// When a person stops at a sample: what takes longer than the sample itself is worth showing only there.

const REST = 600; // ms on a sample after which the person is taken to have stopped at it

export class Rest {
  #timer = 0;
  #rested = "";

  /** @param {(id: string) => void} tell called once for each sample that is stopped at */
  constructor(tell) {
    this.tell = tell;
  }

  /**
   * A sample is shown from now on.
   *
   * @param {string | undefined} id
   * @param {() => boolean} isBusy whether decisions are still on their way
   */
  watch(id, isBusy) {
    clearTimeout(this.#timer);
    this.#timer = Number(
      setTimeout(() => {
        if (id !== undefined && !isBusy() && id !== this.#rested) this.tell(id);
        this.#rested = id ?? "";
      }, REST),
    );
  }

  stop() {
    clearTimeout(this.#timer);
  }
}
