// The histogram's arithmetic: bins of the score, bars, and the way between a threshold and its place.

/** @import { Points } from "./drawing/points.js" */

import { count, joined, share } from "../format.js";

/**
 * Bins of equal width. `above[i]` samples have a score of at least the i-th edge; `finite` have a score at all.
 *
 * @typedef {{ low: number, high: number, finite: number, above: number[] }} Bins
 */

/** @typedef {{ all: number, flagged: number }} Bar */

const CHANCES = [0.99, 0.95, 0.9, 0.75, 0.5, 0.25, 0.1, 0.05, 0.01];
const SHARES = [0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75];
const APART = { chances: 0.08, shares: 0.16 }; // of the axis: a phone's 23 and 46 pixels, as wide as a tick's text
const BINS = 120; // a bar of some eight pixels on a wide page
const LOWEST = 0.999; // a few extreme scores share the outermost bins,
const HIGHEST = 0.0005; // else they alone would set the scale

/**
 * @param {Points} points
 * @returns {Bins}
 */
export function binScores(points) {
  const finite = points.countAbove(-Number.MAX_VALUE);
  const { low, high } = rangeOf(points.scores.subarray(0, points.pointsAmong(finite)));
  const above = Array.from({ length: BINS + 1 }, (_, i) => {
    if (i === 0) return finite;
    return i === BINS ? 0 : points.countAbove(low + ((high - low) * i) / BINS);
  });
  return { low, high, finite, above };
}

/** @param {Float32Array} scores falling */
function rangeOf(scores) {
  if (!scores.length) return { low: 0, high: 1 };
  const quantile = (/** @type {number} */ part) =>
    scores[Math.min(scores.length - 1, Math.floor(part * scores.length))];
  const low = quantile(LOWEST);
  const high = Math.min(quantile(HIGHEST), Number.MAX_VALUE);
  return high > low ? { low, high } : { low: low - 0.5, high: low + 0.5 };
}

/**
 * How many of a bar's samples are flagged when the `flagged` most suspicious are; `ranked` counts those of a filter
 * among the first so many.
 *
 * @param {Bins} bins
 * @param {number} flagged
 * @param {(rank: number) => number} ranked
 * @returns {Bar[]} from the lowest score to the highest
 */
export function barsOf(bins, flagged, ranked = (rank) => rank) {
  return bins.above.slice(0, -1).map((end, bin) => {
    const start = bins.above[bin + 1];
    const last = Math.min(end, Math.max(start, flagged));
    return { all: ranked(end) - ranked(start), flagged: ranked(last) - ranked(start) };
  });
}

/**
 * The height of a bar from 0 to 1. The logarithm keeps thin tails visible: the flagged are few beside the rest.
 *
 * @param {number} samples
 * @param {number} tallest samples of the tallest bar
 */
export function barHeight(samples, tallest) {
  return Math.log1p(samples) / Math.log1p(Math.max(1, tallest));
}

/**
 * Where the threshold stands for so many flagged samples, from 0 = the lowest score to 1 = none flagged.
 *
 * @param {Points} points
 * @param {Bins} bins
 * @param {number} flagged
 */
export function thresholdPlace(points, { low, high }, flagged) {
  if (flagged === 0) return 1;
  return Math.min(1, Math.max(0, (points.score(flagged - 1) - low) / (high - low)));
}

/**
 * How many samples are flagged with the threshold at a place from 0 to 1.
 *
 * @param {Points} points
 * @param {Bins} bins
 * @param {number} place
 */
export function countAtPlace(points, { low, high, finite }, place) {
  if (place >= 1) return 0;
  return place <= 0 ? finite : points.countAbove(low + place * (high - low));
}

/** @typedef {{ place: number, text: string }} Tick at a place from 0 to 1 */

/**
 * How likely the labels are wrong, from the most suspicious on: the first `count` are at least `chance` likely wrong.
 *
 * @typedef {[chance: number, count: number][]} Chances
 */

/**
 * How likely a label is wrong; undefined where that is not known.
 *
 * @param {Chances | null} chances
 * @param {number} rank
 */
export function chanceAt(chances, rank) {
  return chances?.find(([, samples]) => rank < samples)?.[0];
}

/**
 * Places along the axis where a person knows what they mean: how likely wrong a label is there, or without that which
 * share of all samples lies above.
 *
 * @param {Points} points
 * @param {Bins} bins
 * @param {Chances | null} chances
 * @returns {Tick[]} from the highest score down, none too near to the one before
 */
export function scoreTicks(points, bins, chances) {
  const wanted = chances
    ? CHANCES.map((chance) => tickOf(chance, chances))
    : SHARES.map((part) => shareOf(part, points));
  const apart = chances ? APART.chances : APART.shares;
  /** @type {Tick[]} */
  const ticks = [];
  for (const { samples, text } of wanted) {
    const place = thresholdPlace(points, bins, Math.min(samples, bins.finite));
    if (samples && (!ticks.length || ticks[ticks.length - 1].place - place >= apart)) ticks.push({ place, text });
  }
  return ticks;
}

/**
 * @param {number} chance
 * @param {Chances} chances
 */
function tickOf(chance, chances) {
  const samples = Math.max(0, ...chances.filter(([least]) => least >= chance).map(([, number]) => number));
  return { samples, text: `${Math.round(100 * chance)} %` };
}

/**
 * @param {number} part
 * @param {Points} points
 */
function shareOf(part, points) {
  return { samples: Math.round(part * points.n), text: `top ${100 * part} %` };
}

/**
 * Powers of ten up the axis of samples, where their bars end.
 *
 * @param {number} tallest samples of the tallest bar
 * @returns {Tick[]}
 */
export function sampleTicks(tallest) {
  const powers = Array.from({ length: Math.floor(Math.log10(Math.max(1, tallest))) + 1 }, (_, i) => 10 ** i);
  return powers.map((samples) => ({ place: barHeight(samples, tallest), text: count(samples) }));
}

/**
 * What is flagged, in words after its number: of all samples, or of those that pass a filter.
 *
 * @param {{ flagged: number, shown: number }} filtered how many are flagged and how many there are in the filter
 * @param {{ flagged: number, n: number }} all
 * @param {string} threshold how likely wrong the last flagged one is; empty where that is not known
 */
export function flaggedText(filtered, all, threshold) {
  const part = share(filtered.flagged, filtered.shown);
  if (filtered.shown === all.n) return joined(" · ", ` of ${count(all.n)} flagged`, part, threshold);
  const total = `${count(all.flagged)} of all ${count(all.n)}`;
  return joined(" · ", ` of ${count(filtered.shown)} in the filter flagged`, part, threshold, total);
}
