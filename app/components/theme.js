// The page's colours, and colours as numbers: red, green and blue from 0 to 1.

/** @typedef {readonly [number, number, number]} Color */
/** @typedef {{ background: Color, dark: boolean, text: Color }} Theme */

/** @type {Map<string, Color>} */
const colors = new Map();

/**
 * Any colour that CSS knows, as numbers. Asked for in each frame, hence the cache.
 *
 * @param {string} text
 * @returns {Color}
 */
export function colorOf(text) {
  const known = colors.get(text);
  if (known) return known;
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  if (!context) return [0.5, 0.5, 0.5];
  context.fillStyle = text;
  context.fillRect(0, 0, 1, 1);
  const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
  /** @type {Color} */
  const color = [red / 255, green / 255, blue / 255];
  colors.set(text, color);
  return color;
}

/**
 * @param {string} text such as "#c2410c"
 * @returns {Color}
 */
export function fromHex(text) {
  const part = (/** @type {number} */ start) => parseInt(text.slice(start, start + 2), 16) / 255;
  return [part(1), part(3), part(5)];
}

/**
 * A colour as CSS writes it.
 *
 * @param {Color} color
 */
export function css(color, alpha = 1) {
  return `rgba(${color.map((part) => Math.round(part * 255)).join(",")},${alpha})`;
}

/** @param {Color} color */
export function isDark([red, green, blue]) {
  return 0.3 * red + 0.6 * green + 0.1 * blue < 0.5;
}

/**
 * The theme that Streamlit gives a place on the page; marks the place with the class "dark" where it is.
 *
 * @param {HTMLElement} node
 * @returns {Theme}
 */
export function themeOf(node) {
  const style = getComputedStyle(node);
  const background = colorOf(style.getPropertyValue("--st-background-color").trim() || "#ffffff");
  const dark = isDark(background);
  const text = colorOf(style.getPropertyValue("--st-text-color").trim() || (dark ? "#fafafa" : "#262730"));
  node.classList.toggle("dark", dark);
  return { background, dark, text };
}
