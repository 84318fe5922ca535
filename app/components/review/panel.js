// The labels, classes and actions beside the sample under review.

import { count, el, number, share } from "../common.js";

const FIXED = 10;
const LIKELY = 9;
const VERDICT = { keep: "kept", relabel: "relabelled", remove: "removed", unsure: "unsure" };

// Up to ten classes keep their numbers on every sample; of more, the likeliest nine are numbered.
export function numberedClasses(sample, classes) {
  if (classes.length <= FIXED) return classes;
  const likely = (sample?.probabilities ?? []).map(([name]) => name);
  const named = [sample?.predicted, ...likely.slice(0, LIKELY - 2), sample?.given].filter((name) => name !== undefined);
  return [...new Set([...named, ...likely, ...classes.slice(0, LIKELY)])].slice(0, LIKELY);
}

export function labelsOf(sample) {
  const chance = new Map(sample.probabilities ?? []);
  const line = (term, name) => name !== undefined && el("div", { class: "label" }, el("dt", {}, term),
    el("dd", { dir: "auto" }, name, chance.has(name) && el("span", { class: "chance" }, ` ${percent(chance.get(name))}`)));
  const facts = [
    sample.finding,
    sample.score !== undefined && `score ${number(sample.score)}`,
    sample.percentile !== undefined && `percentile ${sample.percentile.toFixed(1)}`,
    sample.flagged && "flagged",
  ].filter(Boolean);
  return [
    el("dl", { class: "labels" }, line("Given", sample.given), line("Suggested", sample.predicted)),
    sample.why && el("p", { class: "why", dir: "auto" }, sample.why),
    facts.length > 0 && el("p", { class: "facts" }, facts.join(" · ")),
    sample.decision && el("p", { class: "facts stands" }, `Decided: ${VERDICT[sample.decision] ?? sample.decision}`
      + (sample.new_label ? ` to ${sample.new_label}` : "")),
  ].filter(Boolean);
}

export function classButtons(sample, classes, choose) {
  const chance = new Map(sample.probabilities ?? []);
  return numberedClasses(sample, classes).map((name, i) => {
    const probability = chance.get(name);
    const node = el("button", {
      type: "button", class: `class${name === sample.given ? " given" : ""}`, "aria-keyshortcuts": String((i + 1) % 10), title: name,
      on: { click: () => choose(name) },
    }, el("kbd", {}, String((i + 1) % 10)), el("span", { class: "name", dir: "auto" }, name),
      el("span", { class: "chance" }, probability === undefined ? "" : percent(probability)),
      el("span", { class: "bar", style: `width:${(100 * (probability ?? 0)).toFixed(1)}%` }));
    return el("li", {}, node);
  });
}

export function actionButtons(act) {
  const one = (key, text, name) => el("button", {
    type: "button", class: `action ${name}`, title: `${text} (${key})`, "aria-keyshortcuts": key, on: { click: () => act(name) },
  }, el("kbd", { "aria-hidden": "true" }, key), text);
  return {
    decide: [one("k", "Keep", "keep"), one("s", "Take suggestion", "suggestion"), one("r", "Remove", "remove"), one("u", "Unsure", "unsure")],
    other: [one("z", "Undo", "undo"), one("Z", "Redo", "redo"), one("n", "Note", "note"), one("/", "Search class", "search"), one("?", "Keys", "help")],
    overlay: one("o", "Saliency", "overlay"),
  };
}

export function progressLine({ done = 0, total = 0, text = "" } = {}) {
  const bar = el("progress", { max: String(Math.max(1, total)), value: String(done), "aria-label": "Reviewed" });
  return [bar, el("span", {}, `${count(done)} of ${count(total)} reviewed · ${share(done, total)}`), el("span", { class: "pace" }, text)];
}

const percent = (value) => `${(100 * value).toFixed(value > 0.1 && value < 0.995 ? 0 : 1)} %`;
