// What every component needs: elements made without HTML strings, the theme, files, and one view per place on the page.

const instances = new WeakMap();
const GONE_CHECK = 1000;

// Streamlit calls a component's script again for each new `data`, and the returned function before that as well as when
// the place goes away. A view in a place that is still on the page waits for its next call: it must not miss a key.
export function keepView(component, create) {
  const place = component.parentElement;
  let entry = instances.get(place);
  if (!entry) {
    entry = { view: create(component), calls: 0 };
    instances.set(place, entry);
  }
  const call = ++entry.calls;
  entry.view.update(component);
  const leave = () => {
    if (entry.calls !== call) return;
    if (place.isConnected) return void setTimeout(leave, GONE_CHECK);
    instances.delete(place);
    entry.view.destroy();
  };
  return leave;
}

// Children that are strings become text nodes: what a sample contains is never parsed as HTML.
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") node.className = value;
    else if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat()) if (child !== null && child !== undefined && child !== false) node.append(child);
  return node;
}

export function button(text, label, action, attributes = {}) {
  return el("button", { type: "button", "aria-label": label, title: label, on: { click: action }, ...attributes }, text);
}

export function addStyle(place, ...sheets) {
  for (const sheet of sheets) place.append(el("style", {}, sheet));
}

// The browser closes a dialog some time after Escape; a key pressed right after it must already count outside.
export function closeByEscape(dialog, then) {
  dialog.addEventListener("close", then);
  dialog.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    dialog.close();
    then();
  });
}

const colors = new Map();

// Red, green and blue from 0 to 1 of any colour that CSS knows. Asked for many times in each frame.
export function colorOf(text) {
  if (!colors.has(text)) {
    const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    context.fillStyle = text || "#888";
    context.fillRect(0, 0, 1, 1);
    colors.set(text, Array.from(context.getImageData(0, 0, 1, 1).data.slice(0, 3), (part) => part / 255));
  }
  return colors.get(text);
}

export function css(color, alpha = 1) {
  return `rgba(${color.map((part) => Math.round(part * 255)).join(",")},${alpha})`;
}

export function themeOf(node) {
  const style = getComputedStyle(node);
  const read = (name, otherwise) => colorOf(style.getPropertyValue(name).trim() || otherwise);
  const background = read("--st-background-color", "#ffffff");
  const dark = background[0] * 0.3 + background[1] * 0.6 + background[2] * 0.1 < 0.5;
  node.classList?.toggle("dark", dark);
  return { background, dark, text: read("--st-text-color", dark ? "#fafafa" : "#262730") };
}

// A full run of the page forgets its files for a moment and then gives them the same address again, hence the retries.
// Asking for a range keeps the server from compressing megabytes of floating-point numbers at its highest level.
export async function fetchBytes(url, tries = 6) {
  for (let attempt = 1; ; attempt++) {
    try {
      const reply = await fetch(new URL(url, window.location.origin), { headers: { Range: "bytes=0-" } });
      if (reply.ok) return await reply.arrayBuffer();
      throw new Error(`${reply.status} ${reply.statusText}`);
    } catch (error) {
      if (attempt === tries) throw error;
      await new Promise((resolve) => setTimeout(resolve, 150 * attempt));
    }
  }
}

export async function fetchJson(url) {
  return JSON.parse(new TextDecoder().decode(await fetchBytes(url)));
}

const whole = new Intl.NumberFormat("en");

export const count = (value) => whole.format(value);

export function share(part, all) {
  const percent = all ? (100 * part) / all : 0;
  return `${percent.toFixed(percent < 10 ? 2 : 1)} %`;
}

export function number(value) {
  return Number.isFinite(value) ? String(Number(value.toPrecision(4))) : value > 0 ? "∞" : "−∞";
}

let made = 0;

// crypto.randomUUID exists only on secure pages, and a laboratory's server may be reached by plain HTTP.
export function uniqueId() {
  const random = crypto.getRandomValues(new Uint32Array(3));
  return `${Array.from(random, (part) => part.toString(36)).join("")}-${++made}`;
}
