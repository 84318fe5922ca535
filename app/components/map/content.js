// What the server sends the map.

/** @import { Sample } from "../sample.js" */
/** @import { ColorBy } from "./drawing/look.js" */
/** @import { Points } from "./drawing/points.js" */
/** @import { Place } from "./drawing/view.js" */
/** @import { Chances } from "./bins.js" */
/** @import { ClusterName } from "./drawing/names.js" */

import { fetchBytes } from "../server.js";
import { cachedPoints, parsePoints, unpackBits } from "./drawing/points.js";

/**
 * What Python sends; `points`, `selection` and `decisions` are addresses of files.
 *
 * @typedef {object} MapData
 * @property {string} points
 * @property {string} version of the points
 * @property {number} count how many are flagged
 * @property {number} answers the time of the release that Python has seen
 * @property {ColorBy} colorBy
 * @property {string | null} decisions
 * @property {string | null} selection
 * @property {Place[] | null} polygon the outline that made the selection
 * @property {{ rank: number, sample: Sample } | null} card
 * @property {boolean} hasPreview
 * @property {ClusterName[]} clusters
 * @property {string} axis what scores mean along the histogram
 * @property {Chances | null} chances how likely labels are wrong, where the score ranks by that
 * @property {number} height
 */

/**
 * What the files hold: 1 or 0 for each point that is selected, and pairs of rank and code of what is decided. Null = all
 * are selected, nothing is decided; undefined = as before.
 *
 * @typedef {object} MapContent
 * @property {Points} points
 * @property {Uint8Array | null | undefined} selection
 * @property {Uint32Array | null | undefined} decisions
 */

/**
 * Fetch what has a new address.
 *
 * @param {MapData} data
 * @param {MapData | null} before
 * @returns {Promise<MapContent>}
 */
export async function fetchContent(data, before) {
  const points = cachedPoints(data.version) ?? parsePoints(data.version, await fetchBytes(data.points));
  // The points of another version are drawn without a selection and decisions until they are set.
  const isNew = data.version !== before?.version;
  const [selection, decisions] = await Promise.all([
    isNew || data.selection !== before.selection ? fetchOrNull(data.selection) : undefined,
    isNew || data.decisions !== before.decisions ? fetchOrNull(data.decisions) : undefined,
  ]);
  return {
    points,
    selection: selection && unpackBits(new Uint8Array(selection), points.n),
    decisions: decisions && new Uint32Array(decisions),
  };
}

/** @param {string | null} url */
async function fetchOrNull(url) {
  return url === null ? null : fetchBytes(url);
}
