// The way to the server: one view for each place on the page, files, and identifiers of messages.

/**
 * What Streamlit hands a component with every call: a place on the page, data from Python, and a way back.
 *
 * @template Data
 * @typedef {{ parentElement: HTMLElement, data: Data, setStateValue: Send }} Component
 */

/** @typedef {(name: string, value: unknown) => void} Send */

/**
 * @template Data
 * @typedef {{ update: (component: Component<Data>) => unknown, destroy: () => void }} View
 */

/** @type {WeakMap<HTMLElement, { view: View<any>, calls: number }>} */
const places = new WeakMap();
const CHECK_AGAIN = 1000; // ms until a place that was still on the page is looked at again
const RETRY = 150; // ms, times the number of the attempt

/**
 * Show one view in a place, made by `create` on the first call and updated by every call; return what cleans up.
 *
 * Streamlit calls a component's script again for each new `data`, and the returned function before that as well as when
 * the place goes away. A view in a place that is still on the page waits for its next call: it must not miss a key.
 *
 * @template Data
 * @param {Component<Data>} component
 * @param {(component: Component<Data>) => View<Data>} create
 */
export function keepView(component, create) {
  const place = component.parentElement;
  const entry = places.get(place) ?? { view: create(component), calls: 0 };
  places.set(place, entry);
  entry.calls += 1;
  const call = entry.calls;
  entry.view.update(component);
  const leave = () => {
    if (entry.calls !== call) return;
    if (place.isConnected) {
      setTimeout(leave, CHECK_AGAIN);
      return;
    }
    places.delete(place);
    entry.view.destroy();
  };
  return leave;
}

/**
 * The content of a file of the media route.
 *
 * A full run of the page forgets its files for a moment and then gives them the same address again, hence the attempts.
 * Asking for a range keeps the server from compressing megabytes of floating-point numbers at its highest level.
 *
 * @param {string} url
 * @param {number} attempts
 * @returns {Promise<ArrayBuffer>}
 */
export async function fetchBytes(url, attempts = 6) {
  for (let attempt = 1; ; attempt++) {
    try {
      const reply = await fetch(new URL(url, window.location.origin), { headers: { Range: "bytes=0-" } });
      if (reply.ok) return await reply.arrayBuffer();
      throw new Error(`${reply.status} ${reply.statusText}`);
    } catch (error) {
      if (attempt === attempts) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY * attempt));
    }
  }
}

/** @param {string} url */
export async function fetchJson(url) {
  return JSON.parse(new TextDecoder().decode(await fetchBytes(url)));
}

/**
 * What went wrong, in words.
 *
 * @param {unknown} error
 */
export function reason(error) {
  return error instanceof Error ? error.message : String(error);
}

let identifiers = 0;

/** An identifier that no other has. `crypto.randomUUID` exists only on secure pages; a server may be plain HTTP. */
export function uniqueId() {
  const random = crypto.getRandomValues(new Uint32Array(3));
  identifiers += 1;
  return `${Array.from(random, (part) => part.toString(36)).join("")}-${identifiers}`;
}
