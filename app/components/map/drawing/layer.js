// Draws the points with WebGL2: all of them once per view into a texture of sums, the flagged ones into another per frame.
// Points come most suspicious first, so "flagged" is the first `count` of them and moving the threshold uploads nothing.

/** @import { Points } from "./points.js" */
/** @import { Look } from "./look.js" */
/** @import { Resources, Sum } from "./resources.js" */
/** @import { Clip } from "./view.js" */

import { makeResources } from "./resources.js";

/** @typedef {(name: string) => WebGLUniformLocation | null} Uniform */

const COLOR_BY = { flagged: 0, score: 1, label: 2, value: 2, finding: 2, decision: 3 }; // as the shader numbers them
const DRAFT_POINTS = 150_000; // drawn while a large map is being moved
const DIM = 0.25; // weight of a point that is filtered out

/** What draws on a canvas; null where the browser has no WebGL2. */
export class PointLayer {
  /** @type {Points | null} */
  points = null;
  /** @type {Uint8Array | null} */
  #selection = null;
  /** @type {Uint32Array | null} */
  #decisions = null;
  #codes = new Uint8Array();
  /** @type {Uint8Array} */
  #slots = new Uint8Array();
  /** @type {Resources} */
  #card;
  #textureSize = "";
  draftStride = 1;
  #decided = 0;
  #crowd = 1;
  /** @type {WebGLVertexArrayObject[]} */
  #arrays = [];

  /** @param {HTMLCanvasElement} canvas */
  static on(canvas) {
    const gl = canvas.getContext("webgl2", { antialias: false, alpha: true, premultipliedAlpha: true });
    return gl && new PointLayer(canvas, gl);
  }

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {WebGL2RenderingContext} gl
   */
  constructor(canvas, gl) {
    this.canvas = canvas;
    this.gl = gl;
    this.#card = makeResources(gl);
  }

  /** Make everything on the graphics card anew, after the context was lost. */
  restore() {
    this.#card = makeResources(this.gl);
    this.#textureSize = "";
    this.#arrays = [];
    if (!this.points) return;
    const slots = this.#slots;
    const selection = this.#selection;
    const decisions = this.#decisions;
    this.setPoints(this.points);
    this.setSlots(slots);
    this.setSelection(selection);
    this.setDecisions(decisions);
  }

  /**
   * Draw these points, all of them selected, plain and undecided.
   *
   * @param {Points} points
   */
  setPoints(points) {
    const { gl } = this;
    this.points = points;
    this.draftStride = Math.min(16, Math.max(1, Math.ceil(points.drawn / DRAFT_POINTS)));
    for (const array of this.#arrays) gl.deleteVertexArray(array);
    this.#upload(this.#card.places, points.packed);
    this.setSlots(new Uint8Array(points.drawn));
    this.setSelection(null);
    this.#arrays = [this.#describe(1), this.#describe(this.draftStride)];
    this.setDecisions(null);
  }

  /** @param {Uint8Array} slots position in the palette of each point */
  setSlots(slots) {
    this.#slots = slots;
    this.#upload(this.#card.slots, slots);
  }

  /** @param {Uint8Array | null} selection 1 or 0 for each sample; null = all */
  setSelection(selection) {
    this.#selection = selection;
    const chosen = selection && this.points?.ofDrawn(selection);
    this.#upload(this.#card.selection, chosen ?? new Uint8Array(this.#n).fill(1));
  }

  /** @param {Uint32Array | null} pairs of rank and code; null = nothing is decided */
  setDecisions(pairs) {
    const { gl } = this;
    this.#decisions = pairs;
    this.#codes = new Uint8Array(this.#n);
    const drawn = pairs && this.points ? this.points.decidedOf(pairs) : [];
    drawn.forEach(({ point, code }) => (this.#codes[point] = code));
    const decided = Uint32Array.from(drawn, ({ point }) => point);
    this.#decided = decided.length;
    this.#upload(this.#card.decisions, this.#codes);
    // The decided ones again as a list, to be drawn over the rest.
    gl.bindVertexArray(this.#arrays[0]);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.#card.decided);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, decided, gl.STATIC_DRAW);
  }

  /** @param {number} rank */
  decisionOf(rank) {
    return this.#codes[this.points?.pointOf(rank) ?? 0];
  }

  /**
   * Sum up all points for a view. `isDraft` takes a sample of a large map while it is being moved.
   *
   * @param {Clip} clip
   * @param {Look} look
   * @param {boolean} isDraft
   */
  drawDensity(clip, look, isDraft) {
    const { width, height } = this.canvas;
    const stride = isDraft ? this.draftStride : 1;
    this.#fitTextures();
    const uniform = this.#sumUp(this.#card.all, clip, look, stride);
    this.gl.uniform1i(uniform("flagged"), 0);
    this.gl.uniform1f(uniform("size"), look.size);
    this.gl.drawArrays(this.gl.POINTS, 0, Math.floor(this.#n / stride));
    const pointArea = look.size ** 2 / (width * height * 0.25 * clip.scale[0] * clip.scale[1]);
    this.#crowd = Math.max(1, 0.5 * (this.points?.grid.crowding ?? 0) * pointArea);
  }

  /**
   * Draw a frame: the sums of all points, the first `flagged` samples over them, and decisions where they are coloured.
   *
   * @param {Clip} clip
   * @param {Look} look
   * @param {number} flagged
   */
  drawFrame(clip, look, flagged) {
    const { gl } = this;
    const points = this.points?.pointsAmong(flagged) ?? 0;
    const uniform = this.#sumUp(this.#card.flagged, clip, look, 1);
    gl.uniform1i(uniform("flagged"), 1);
    gl.uniform1f(uniform("size"), look.size * 1.2 + 0.6);
    gl.drawArrays(gl.POINTS, 0, points);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    const { faint, strong, flaggedAlpha } = look;
    this.#shade(this.#card.all, look, { crowd: this.#crowd, faint, strong, deepen: 0 });
    const crowd = Math.max(2, (4 * this.#crowd * points) / Math.max(1, this.#n));
    this.#shade(this.#card.flagged, look, { crowd, faint: flaggedAlpha, strong: 1, deepen: 0.3 });
    if (look.colorBy === "decision" && this.#decided) this.#drawDecided(clip, look);
  }

  destroy() {
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }

  /** Points that are drawn. */
  get #n() {
    return this.points?.drawn ?? 0;
  }

  /**
   * @param {Clip} clip
   * @param {Look} look
   */
  #drawDecided(clip, look) {
    const { gl } = this;
    const uniform = this.#usePoints(clip, look, 1);
    gl.uniform1f(uniform("alpha"), 1);
    gl.uniform1f(uniform("size"), look.size * 1.5 + 2);
    gl.drawElements(gl.POINTS, this.#decided, gl.UNSIGNED_INT, 0);
  }

  /**
   * Prepare to draw points into a texture of sums.
   *
   * @param {Sum} sum
   * @param {Clip} clip
   * @param {Look} look
   * @param {number} stride
   */
  #sumUp(sum, clip, look, stride) {
    const { gl } = this;
    gl.bindFramebuffer(gl.FRAMEBUFFER, sum.frame);
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.enable(gl.BLEND);
    // Sums need a float texture; without one, plain blending shows crowds less finely.
    gl.blendFunc(gl.ONE, this.#card.floats ? gl.ONE : gl.ONE_MINUS_SRC_ALPHA);
    const uniform = this.#usePoints(clip, look, stride);
    gl.uniform1f(uniform("alpha"), this.#card.floats ? stride : 0.6);
    return uniform;
  }

  /**
   * @param {Sum} sum
   * @param {Look} look
   * @param {{ crowd: number, faint: number, strong: number, deepen: number }} shades
   */
  #shade(sum, look, shades) {
    const { gl } = this;
    const uniform = this.#use(this.#card.densityProgram);
    gl.bindVertexArray(this.#card.noArrays);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, sum.texture);
    gl.uniform1i(uniform("density"), 0);
    for (const [name, value] of Object.entries(shades)) gl.uniform1f(uniform(name), value);
    gl.uniform3f(uniform("ink"), ...look.ink);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  /**
   * @param {Clip} clip
   * @param {Look} look
   * @param {number} stride
   */
  #usePoints(clip, look, stride) {
    const { gl } = this;
    const uniform = this.#use(this.#card.pointProgram);
    gl.bindVertexArray(this.#arrays[stride === 1 ? 0 : 1]);
    gl.uniform2f(uniform("center"), ...clip.center);
    gl.uniform2f(uniform("scale"), ...clip.scale);
    gl.uniform1f(uniform("total"), Math.max(1, this.#n - 1));
    gl.uniform1f(uniform("dim"), DIM);
    gl.uniform1i(uniform("colorBy"), COLOR_BY[look.colorBy]);
    gl.uniform1i(uniform("stride"), stride);
    gl.uniform3f(uniform("plain"), ...look.plain);
    gl.uniform3f(uniform("accent"), ...look.accent);
    gl.uniform3fv(uniform("ramp"), look.ramp.flat());
    gl.uniform3fv(uniform("palette"), look.palette.flat());
    gl.uniform3fv(uniform("verdicts"), look.verdicts.flat());
    return uniform;
  }

  /**
   * @param {WebGLProgram} program
   * @returns {Uniform}
   */
  #use(program) {
    this.gl.useProgram(program);
    return (name) => this.gl.getUniformLocation(program, name);
  }

  /**
   * Where the shader finds its attributes. A multiple of the stride reads every second, third … point without a copy.
   *
   * @param {number} stride
   */
  #describe(stride) {
    const { gl } = this;
    const array = gl.createVertexArray();
    gl.bindVertexArray(array);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.#card.places);
    gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 12 * stride, 0);
    gl.enableVertexAttribArray(0);
    [this.#card.slots, this.#card.selection, this.#card.decisions].forEach((buffer, i) => {
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.vertexAttribIPointer(i + 1, 1, gl.UNSIGNED_BYTE, stride, 0);
      gl.enableVertexAttribArray(i + 1);
    });
    return array;
  }

  /**
   * @param {WebGLBuffer} buffer
   * @param {Uint8Array} bytes
   */
  #upload(buffer, bytes) {
    this.gl.bindBuffer(this.gl.ARRAY_BUFFER, buffer);
    this.gl.bufferData(this.gl.ARRAY_BUFFER, bytes, this.gl.STATIC_DRAW);
  }

  #fitTextures() {
    const { gl } = this;
    const { width, height } = this.canvas;
    if (this.#textureSize === `${width}x${height}`) return;
    this.#textureSize = `${width}x${height}`;
    const format = this.#card.floats ? gl.RGBA16F : gl.RGBA8;
    const type = this.#card.floats ? gl.HALF_FLOAT : gl.UNSIGNED_BYTE;
    for (const sum of [this.#card.all, this.#card.flagged]) {
      gl.bindTexture(gl.TEXTURE_2D, sum.texture);
      gl.texImage2D(gl.TEXTURE_2D, 0, format, width, height, 0, gl.RGBA, type, null);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
      gl.bindFramebuffer(gl.FRAMEBUFFER, sum.frame);
      gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, sum.texture, 0);
    }
  }
}
