// The way to the server: one view a place, files that come late, identifiers.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";

import { newPlace, serve, settled } from "./page.js";
import { fetchBytes, fetchJson, keepView, reason, uniqueId } from "../../app/components/server.js";

beforeEach(() => mock.timers.enable({ apis: ["setTimeout"] }));
afterEach(() => mock.timers.reset());

describe("a view", () => {
  /** A view that writes down what happens to it. */
  function recorder() {
    /** @type {string[]} */
    const log = [];
    const create = () => {
      log.push("created");
      return {
        update: (/** @type {{ data: number }} */ { data }) => log.push(`data ${data}`),
        destroy: () => log.push("gone"),
      };
    };
    return { log, create };
  }

  it("is made once for a place and updated by every call", () => {
    const { log, create } = recorder();
    const place = newPlace();
    for (const data of [1, 2]) keepView({ parentElement: place, data, setStateValue: () => {} }, create);
    assert.deepEqual(log, ["created", "data 1", "data 2"]);
    keepView({ parentElement: newPlace(), data: 3, setStateValue: () => {} }, create);
    assert.deepEqual(log.slice(3), ["created", "data 3"]);
  });

  it("outlives the cleaning up between two calls, and goes with its place", () => {
    const { log, create } = recorder();
    const place = newPlace();
    const call = (/** @type {number} */ data) =>
      keepView({ parentElement: place, data, setStateValue: () => {} }, create);
    const leaveFirst = call(1);
    leaveFirst();
    const leaveSecond = call(2);
    mock.timers.tick(1000);
    assert.deepEqual(log, ["created", "data 1", "data 2"]);
    leaveSecond();
    mock.timers.tick(5000);
    assert.ok(!log.includes("gone"), "its place is still on the page");
    place.remove();
    mock.timers.tick(5000);
    assert.deepEqual(log.slice(3), ["gone"], "once, though both calls were cleaned up");
    document.body.append(place);
    call(3);
    assert.deepEqual(log.slice(-2), ["created", "data 3"]);
  });
});

describe("a file", () => {
  it("is asked for as a range of this server's own", async () => {
    const asked = serve({ "/media/a": { cats: 2 } });
    assert.deepEqual(await fetchJson("/media/a"), { cats: 2 });
    assert.deepEqual(asked, ["http://127.0.0.1:8501/media/a"]);
  });

  it("is asked for again while the server has forgotten it, each time a little later", async () => {
    /** @type {Record<string, unknown>} */
    const files = {};
    const asked = serve(files);
    const file = fetchJson("/media/b");
    for (const wait of [150, 300]) {
      await settled();
      mock.timers.tick(wait - 1);
      await settled();
      const before = asked.length;
      mock.timers.tick(1);
      await settled();
      assert.equal(asked.length, before + 1);
    }
    files["/media/b"] = "here";
    mock.timers.tick(450);
    assert.equal(await file, "here");
  });

  it("that never comes is an error that says why", async () => {
    const asked = serve({});
    const outcome = fetchBytes("/media/c", 3).catch(reason);
    for (let turn = 0; turn < 3; turn++) {
      await settled();
      mock.timers.tick(1000);
    }
    assert.equal(await outcome, "404 Not Found");
    assert.equal(asked.length, 3);
  });
});

it("what went wrong is told in words, whatever was thrown", () => {
  assert.equal(reason(new TypeError("no net")), "no net");
  assert.equal(reason(404), "404");
});

it("identifiers differ", () => {
  assert.equal(new Set(Array.from({ length: 1000 }, uniqueId)).size, 1000);
});
