// A queue about two classes, and one queue in two tabs.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";

import { newPlace, press, serve, settled, texts } from "../page.js";

const { mount } = await import("../../../app/components/review/review_queue.js");
const { OtherTabs } = await import("../../../app/components/review/tabs.js");

/** @type {Record<string, import("../../../app/components/sample.js").Sample>} */
const SAMPLES = {
  a: { id: "a", given: "cat", predicted: "eel", text: "first" },
  b: { id: "b", given: "cat", predicted: "dog", text: "second" },
};

/** @type {HTMLElement} */
let place;
/** @type {[string, any][]} */
let sent;
let leave = () => {};
let order = ["a", "b"];

/** @param {{ acked?: string[], pair?: [string, string] | null }} more */
function answer({ acked = [], pair = ["cat", "dog"] } = {}) {
  const samples = order.map((id) => SAMPLES[id]);
  const rest = { errors: {}, progress: {}, classes: "/classes", height: 500, store: "pair" };
  leave = mount({
    parentElement: place,
    data: { acked, order, samples, pair, ...rest },
    setStateValue: (name, value) => sent.push([name, value]),
  });
}

beforeEach(async () => {
  sessionStorage.clear();
  place = newPlace();
  sent = [];
  order = ["a", "b"];
  serve({ "/classes": ["cat", "dog", "eel"] });
  answer();
  await settled();
});
afterEach(() => {
  place.remove();
  leave();
});

const messages = () => sent.filter(([name]) => name === "events").map(([, value]) => value);
const words = () =>
  (messages().at(-1)?.events ?? []).map((/** @type {any} */ event) =>
    [event.action, event.sample, event.label].filter(Boolean).join(" "),
  );

describe("a pair of classes", () => {
  it("has two large keys: the given one keeps, the other relabels, whatever is suggested", () => {
    assert.deepEqual(texts(place, ".pair-keys button"), ["fcat", "jdog"]);
    press("f");
    press("j");
    assert.deepEqual(words(), ["keep a", "relabel b dog"]);
  });

  it("is asked about by clicks too", () => {
    const other = /** @type {HTMLElement} */ (place.querySelectorAll(".pair-keys button")[1]);
    other.click();
    assert.deepEqual(words(), ["relabel a dog"]);
  });

  it("is none in any other queue: its keys mean nothing there", () => {
    answer({ pair: null });
    assert.equal(place.querySelectorAll(".pair-keys button").length, 0);
    press("f");
    press("j");
    assert.deepEqual(words(), []);
  });
});

describe("two tabs", () => {
  const heard = (/** @type {string} */ queue) => {
    /** @type {string[][]} */
    const all = [];
    const tab = new OtherTabs(queue, (ids) => all.push(ids));
    return { all, tab };
  };
  const moment = () => new Promise((resolve) => setTimeout(resolve, 20));

  it("tell each other what is on disk, and other queues nothing", async () => {
    const same = heard("pair");
    const other = heard("another");
    press("f");
    await moment();
    assert.deepEqual(same.all, [], "not before the server has it");
    answer({
      acked: messages()
        .at(-1)
        .events.map((/** @type {any} */ event) => event.id),
    });
    await moment();
    assert.deepEqual([same.all, other.all], [[["a"]], []]);
    same.tab.close();
    other.tab.close();
  });

  it("go on when the other has decided the sample that is shown, and say so", async () => {
    const { tab } = heard("pair");
    const before = messages().length;
    tab.tell(["a"]);
    await moment();
    assert.equal(messages().length, before + 1, "the server is asked for the queue as it is now");
    order = ["b"];
    answer();
    assert.match(texts(place, ".position")[0] ?? "", /b$/);
    assert.match(texts(place, ".state")[0] ?? "", /another tab/);
    tab.close();
  });
});
