// Which samples of a page are selected, and which tile has the focus.

export class Selection {
  /** @type {string[]} */
  page = [];
  current = 0;
  #anchor = 0;
  /** @type {Set<string>} */
  #selected = new Set();

  get size() {
    return this.#selected.size;
  }

  /** The selected ids in the order of the page. */
  get ids() {
    return this.page.filter((id) => this.#selected.has(id));
  }

  /** @param {string} id */
  has(id) {
    return this.#selected.has(id);
  }

  /**
   * Go on with another page: what is on both stays selected and in focus.
   *
   * @param {string[]} ids
   */
  setPage(ids) {
    const focus = this.page[this.current];
    this.page = ids;
    this.#selected = new Set(this.ids);
    this.current = Math.max(0, ids.indexOf(focus));
    this.#anchor = this.current;
  }

  /** @param {string[]} ids */
  set(ids) {
    this.#selected = new Set(ids);
  }

  /** @param {number} i */
  toggle(i) {
    const id = this.page[i];
    if (id !== undefined && !this.#selected.delete(id)) this.#selected.add(id);
  }

  /**
   * Select all from the anchor to a tile.
   *
   * @param {number} i
   */
  extend(i) {
    const start = Math.min(this.#anchor, i);
    const end = Math.max(this.#anchor, i);
    for (const id of this.page.slice(start, end + 1)) this.#selected.add(id);
  }

  /**
   * Focus a tile; a later `extend` starts from it, or from the anchor where that is held.
   *
   * @param {number} i
   * @param {boolean} holdsAnchor
   */
  focus(i, holdsAnchor = false) {
    this.current = Math.min(this.page.length - 1, Math.max(0, i));
    if (!holdsAnchor) this.#anchor = this.current;
  }
}
