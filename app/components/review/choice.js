// The classes of a run, and how a person chooses one: by its number or by searching.

/** @import { Sample } from "../sample.js" */

import { ClassSearch } from "../class_search.js";
import { likelyFirst, numberedClasses } from "../classes.js";
import { fetchJson } from "../server.js";

/** The given class and another, where a queue asks only which of the two it is. @typedef {[string, string]} Pair */

export const PAIR_KEYS = ["f", "j"]; // where the fingers rest

export class Choice {
  /** @type {Pair | null} */
  pair = null;
  /** @type {string[]} */
  classes = [];
  #url = "";
  search = new ClassSearch();

  /**
   * @param {string | null} url of the names; null where the run has no classes
   * @param {() => void} then
   */
  async load(url, then) {
    if (!url || url === this.#url) return;
    this.#url = url;
    this.classes = await fetchJson(url);
    then();
  }

  /**
   * A key means the class that had it on screen when it was pressed.
   *
   * @param {Sample | undefined} sample
   * @param {string} number or a key of a pair
   */
  numbered(sample, number) {
    if (PAIR_KEYS.includes(number)) return this.pair?.[PAIR_KEYS.indexOf(number)];
    return numberedClasses(sample, this.classes).find(({ key }) => key === number)?.name;
  }

  /**
   * Why a number means no class.
   *
   * @param {string} number
   */
  missing(number) {
    return this.classes.length ? `No class has the key ${number}.` : "The classes are still loading; press again.";
  }

  /**
   * @param {Sample | undefined} sample
   * @param {(label: string) => void} choose
   */
  open(sample, choose) {
    if (sample && this.classes.length) this.search.open(likelyFirst(sample, this.classes), choose);
  }
}
