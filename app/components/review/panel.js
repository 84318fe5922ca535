// The labels, classes and actions beside the sample under review.

/** @import { Tagged } from "../preview/tags.js" */
/** @import { Sample } from "../sample.js" */
/** @import { Pair } from "./choice.js" */
/** @import { Action } from "./keys.js" */

import { numberedClasses } from "../classes.js";
import { el, nodes } from "../dom.js";
import { count, joined, likelyWrong, percent, share } from "../format.js";
import { PAIR_KEYS } from "./choice.js";
import { isAllowed } from "./keys.js";

/** @typedef {{ done?: number, total?: number, text?: string }} Progress */

const MANY = 20; // unsaved decisions that are worth a warning

/** @type {Record<string, string>} */
const VERDICTS = {
  keep: "kept",
  relabel: "relabelled",
  remove: "removed",
  unsure: "unsure",
  edit: "edited",
  swap: "swapped",
};

/** @type {[key: string, text: string, name: Action][]} */
const VERBS = [
  ["k", "Keep", "keep"],
  ["s", "Take suggestion", "suggestion"],
  ["v", "Change", "change"],
  ["e", "Edit", "edit"],
  ["x", "Swap", "swap"],
  ["r", "Remove", "remove"],
  ["u", "Unsure", "unsure"],
];
/** @type {[key: string, text: string, name: Action][]} */
const OTHERS = [
  ["z", "Undo", "undo"],
  ["Z", "Redo", "redo"],
  ["n", "Note", "note"],
  ["/", "Search class", "search"],
  ["?", "Keys", "help"],
];

export class Panel {
  /**
   * @param {(name: Action) => void} act
   * @param {(name: string) => void} choose a class
   * @param {HTMLElement[]} fields for a new value and for a note
   * @param {string[]} actions that can be decided
   */
  constructor(act, choose, fields, actions) {
    this.choose = choose;
    this.hasClasses = !actions.includes("change");
    this.labels = el("div", { class: "about" });
    this.pairs = el("div", { class: "pair-keys" });
    this.classes = el("ol", { class: "classes", "aria-label": "Classes" });
    this.overlay = actionButton(["o", "Saliency", "overlay"], act);
    this.state = el("p", { class: "state", role: "status" });
    const [verbs, others] = [VERBS, OTHERS].map((buttons) =>
      buttons.filter(([, , name]) => isAllowed(name, actions)).map((action) => actionButton(action, act)),
    );
    this.root = el(
      "div",
      { class: "panel" },
      this.labels,
      this.pairs,
      this.classes,
      el("div", { class: "actions decide" }, verbs),
      fields,
      el("div", { class: "actions" }, others, this.overlay),
      this.state,
    );
  }

  /** @param {Pair | null} pair */
  setPair(pair) {
    const buttons = (pair ?? []).map((name, i) => keyButton(PAIR_KEYS[i], name, () => this.choose(name)));
    this.pairs.replaceChildren(...buttons);
  }

  /**
   * @param {Sample} sample
   * @param {string[]} classes
   * @param {boolean} withOverlay
   */
  draw(sample, classes, withOverlay) {
    this.overlay.hidden = !sample.overlay;
    this.overlay.setAttribute("aria-pressed", String(withOverlay));
    this.labels.replaceChildren(...labelsOf(sample));
    this.classes.replaceChildren(...classButtons(sample, this.hasClasses ? classes : [], this.choose));
  }
}

/**
 * @param {Sample} sample
 * @returns {(string | Node)[]}
 */
function labelsOf(sample) {
  const facts = factsOf(sample);
  return nodes([
    el(
      "dl",
      { class: "labels" },
      sample.tags ? doubtLines(sample.tags) : labelLine("Given", sample.given, sample),
      sample.tags ? null : labelLine("Suggested", sample.predicted, sample),
    ),
    sample.why && el("p", { class: "why", dir: "auto" }, sample.why),
    facts.length > 0 && el("p", { class: "facts" }, facts.join(" · ")),
    sample.decision && el("p", { class: "facts stands" }, decisionText(sample)),
  ]);
}

/**
 * Each word whose tag looks wrong, with its tag and the likeliest other.
 *
 * @param {Tagged} tagged
 */
function doubtLines({ words, given, doubts }) {
  return doubts.map(([place, other, wrong]) =>
    el(
      "div",
      { class: "label" },
      el("dt", { dir: "auto" }, words[place]),
      el("dd", { dir: "auto" }, `${given[place]} → ${other}`, el("span", { class: "chance" }, ` ${percent(wrong)}`)),
    ),
  );
}

/**
 * @param {string} term
 * @param {string | undefined} name
 * @param {Sample} sample
 */
function labelLine(term, name, sample) {
  if (name === undefined) return null;
  const probability = probabilityOf(sample, name);
  const chance = probability !== undefined && el("span", { class: "chance" }, ` ${percent(probability)}`);
  return el("div", { class: "label" }, el("dt", {}, term), el("dd", { dir: "auto" }, name, chance));
}

/**
 * @param {Sample} sample
 * @param {string} name
 */
function probabilityOf({ probabilities = [] }, name) {
  return probabilities.find(([other]) => other === name)?.[1];
}

/** @param {Sample} sample */
function factsOf({ finding, wrong, percentile, flagged, scale, tags, layers }) {
  const facts = [
    finding,
    wrong !== undefined && `${scale ? "value" : tags ? "a tag" : layers ? "mask" : "label"} ${likelyWrong(wrong)}`,
    percentile !== undefined && `percentile ${percentile.toFixed(1)}`,
    flagged && "flagged",
  ];
  return facts.filter(Boolean);
}

/** @param {Sample} sample */
function decisionText({ decision = "", new_label, scale, tags }) {
  if (tags && new_label) return "Decided: new tags";
  if (scale && new_label) return `Decided: new value ${new_label}`;
  const verdict = `Decided: ${VERDICTS[decision] ?? decision}`;
  return new_label ? `${verdict} to ${new_label}` : verdict;
}

/**
 * @param {Sample} sample
 * @param {string[]} classes
 * @param {(name: string) => void} choose
 */
function classButtons(sample, classes, choose) {
  return numberedClasses(sample, classes).map(({ key, name }) => {
    const probability = probabilityOf(sample, name);
    const attributes = {
      type: "button",
      class: name === sample.given ? "class given" : "class",
      "aria-keyshortcuts": key,
      title: name,
      on: { click: () => choose(name) },
    };
    const chance = probability === undefined ? "" : percent(probability);
    const node = el(
      "button",
      attributes,
      el("kbd", {}, key),
      el("span", { class: "name", dir: "auto" }, name),
      el("span", { class: "chance" }, chance),
      el("span", { class: "bar", style: `width:${(100 * (probability ?? 0)).toFixed(1)}%` }),
    );
    return el("li", {}, node);
  });
}

/**
 * @param {[key: string, text: string, name: Action]} action
 * @param {(name: Action) => void} act
 */
function actionButton([key, text, name], act) {
  return keyButton(key, text, () => act(name), name);
}

/**
 * @param {string} key
 * @param {string} text
 * @param {() => void} press
 * @param {string} name for its style
 */
function keyButton(key, text, press, name = "") {
  const attributes = {
    type: "button",
    class: `action ${name}`,
    title: `${text} (${key})`,
    "aria-keyshortcuts": key,
    on: { click: press },
  };
  return el("button", attributes, el("kbd", { "aria-hidden": "true" }, key), text);
}

/**
 * A sample as a screen reader says it.
 *
 * @param {Sample} sample
 */
export function spokenOf({ position, given, predicted, why, tags }) {
  if (tags) return joined(". ", position, tags.words.join(" "), why);
  return joined(". ", position, given && `given ${given}`, predicted && `suggested ${predicted}`, why);
}

/** @param {Progress} progress */
export function progressLine({ done = 0, total = 0, text = "" }) {
  const bar = el("progress", { max: String(Math.max(1, total)), value: String(done), "aria-label": "Reviewed" });
  const words = `${count(done)} of ${count(total)} decided · ${share(done, total)}`;
  return [bar, el("span", {}, words), el("span", { class: "pace" }, text)];
}

/**
 * How the server keeps up, in words; empty where everything is saved.
 *
 * @param {number} unsaved decisions on their way
 * @param {number} waiting presses whose samples are not there yet
 */
export function stateText(unsaved, waiting) {
  if (unsaved > MANY) return `${unsaved} decisions are not saved yet.`;
  if (!unsaved) return "";
  return waiting ? `Saving; ${waiting} more waiting.` : "Saving.";
}
