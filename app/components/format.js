// Numbers as a person reads them.

const WHOLE = new Intl.NumberFormat("en");
const CERTAIN = 0.99;

/** @param {number} value */
export const count = (value) => WHOLE.format(value);

/**
 * A share of a whole in per cent, two decimals below ten, but none of nothing.
 *
 * @param {number} part
 * @param {number} all
 */
export function share(part, all) {
  const value = all ? (100 * part) / all : 0;
  return `${value ? value.toFixed(value < 10 ? 2 : 1) : 0} %`;
}

/**
 * A probability in per cent; a decimal only where rounding would say none or all.
 *
 * @param {number} value
 */
export function percent(value) {
  return `${(100 * value).toFixed(value >= 0.1 && value < 0.995 ? 0 : 1)} %`;
}

/**
 * How likely a label is wrong, in words: as nothing that is estimated is sure, none is told beyond 99 %.
 *
 * @param {number} value
 */
export function likelyWrong(value) {
  const near = value < 1 - CERTAIN ? "under 1 %" : percent(value);
  return `${value > CERTAIN ? "over 99 %" : near} likely wrong`;
}

/**
 * A score with four significant digits.
 *
 * @param {number} value
 */
export function number(value) {
  if (Number.isFinite(value)) return String(Number(value.toPrecision(4)));
  return value > 0 ? "∞" : "−∞";
}

/**
 * A text cut to a length, with an ellipsis where something is missing.
 *
 * @param {string} text
 * @param {number} length
 */
export function cut(text, length) {
  return text.length > length ? `${text.slice(0, length)} …` : text;
}

/**
 * The parts that are there, as one text.
 *
 * @param {string} separator
 * @param {...(string | false | undefined)} parts
 */
export function joined(separator, ...parts) {
  return parts.filter(Boolean).join(separator);
}
