// Words of our own when the server is gone: Streamlit's speak of its own programs, and of the internet.

import { el } from "../dom.js";
import { keepView } from "../server.js";

const FOREIGN = /connection error|streamlit/i; // what Streamlit's own dialog says
const AGAIN = 1500; // ms until a server that was gone is asked again

export const WORDS =
  "The dashboard’s server does not answer. Every decision that was taken is saved; presses that were not are kept here " +
  "and sent when it is back. If it was stopped, start it again as before: this page then goes on by itself.";

/**
 * @param {import("../server.js").Component<unknown>} component
 */
export default function mount(component) {
  return keepView(component, () => new Connection());
}

/** The dialog of Streamlit that says that the server is gone, where it is shown. */
export function foreignDialog() {
  const dialogs = Array.from(document.querySelectorAll('[role="dialog"]'));
  return dialogs.find((dialog) => FOREIGN.test(dialog.textContent ?? "")) ?? null;
}

/** Whether the server answers. */
async function answers() {
  try {
    return (await fetch("/_stcore/health", { cache: "no-store" })).ok;
  } catch {
    return false;
  }
}

class Connection {
  constructor() {
    /** @type {HTMLElement | null} */
    this.banner = null;
    this.observer = new MutationObserver(() => this.look());
    this.observer.observe(document.body, { childList: true });
  }

  update() {}

  /** Put our words in place of Streamlit's, where those are shown. */
  look() {
    const dialog = foreignDialog();
    if (!dialog) return;
    const layer = dialog.closest("body > *");
    if (layer instanceof HTMLElement) layer.style.display = "none";
    if (this.banner) return;
    this.banner = el("div", { class: "oga oga-gone", role: "alert" }, WORDS);
    document.body.append(this.banner);
    this.wait();
  }

  /** Take our words away when the server is back. */
  async wait() {
    while (this.banner) {
      await new Promise((resolve) => setTimeout(resolve, AGAIN));
      if (await answers()) this.clear();
    }
  }

  clear() {
    this.banner?.remove();
    this.banner = null;
  }

  destroy() {
    this.observer.disconnect();
    this.clear();
  }
}
