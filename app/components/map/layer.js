// Draws the points with WebGL2: all of them once per view into a texture of sums, the flagged ones into another per frame.
// Points come most suspicious first, so "flagged" is the first `count` of them and moving the threshold uploads nothing.

const POINT_SHADER = `#version 300 es
precision highp float;
layout(location = 0) in vec2 place;
layout(location = 1) in uint label;
layout(location = 2) in uint finding;
layout(location = 3) in uint chosen;
layout(location = 4) in uint decision;
uniform vec2 center, scale;
uniform float size, total, dim;
uniform int colorBy, stride;
uniform bool flagged;
uniform vec3 plain, accent, ramp[3], palette[10], verdicts[5];
out vec4 tint;

vec3 ramped(float t) { return t < 0.5 ? mix(ramp[0], ramp[1], 2.0 * t) : mix(ramp[1], ramp[2], 2.0 * t - 1.0); }

void main() {
  gl_Position = vec4((place - center) * scale, 0.0, 1.0);
  gl_PointSize = size;
  float suspicion = 1.0 - float(gl_VertexID * stride) / total;
  vec3 color = flagged ? accent : plain;
  if (colorBy == 1) color = ramped(suspicion * suspicion);
  else if (colorBy == 2) color = label == 65535u ? plain : palette[label % 10u];
  else if (colorBy == 3) color = decision == 0u ? color : verdicts[min(decision, 4u)];
  else if (colorBy == 4) color = finding == 255u ? plain : palette[finding % 10u];
  tint = vec4(color, chosen == 0u ? dim : 1.0);
}`;

const DOT_SHADER = `#version 300 es
precision highp float;
in vec4 tint;
uniform float alpha, size;
out vec4 color;
void main() {
  float covered = clamp((0.5 - length(gl_PointCoord - 0.5)) * size + 0.5, 0.0, 1.0);
  color = vec4(tint.rgb, 1.0) * tint.a * alpha * covered;
}`;

const SCREEN_SHADER = `#version 300 es
const vec2 corners[3] = vec2[3](vec2(-1, -1), vec2(3, -1), vec2(-1, 3));
void main() { gl_Position = vec4(corners[gl_VertexID], 0.0, 1.0); }`;

// The shade follows the logarithm of how many points lie on a pixel, so that a crowd of thousands and a lone point show both.
const DENSITY_SHADER = `#version 300 es
precision highp float;
uniform sampler2D density;
uniform float crowd, faint, strong, deepen;
uniform vec3 ink;
out vec4 color;
void main() {
  vec4 sum = texelFetch(density, ivec2(gl_FragCoord.xy), 0);
  if (sum.a <= 0.0) { color = vec4(0.0); return; }
  float shade = clamp(log(1.0 + sum.a) / log(1.0 + crowd), 0.0, 1.0);
  float alpha = min(1.0, sum.a) * mix(faint, strong, shade);
  color = vec4(mix(sum.rgb / sum.a, ink, deepen * shade) * alpha, alpha);
}`;

const MODES = ["flagged", "score", "label", "decision", "finding"];
const DRAFT_POINTS = 150_000;

export class PointLayer {
  constructor(canvas) {
    this.canvas = canvas;
    this.gl = canvas.getContext("webgl2", { antialias: false, alpha: true, premultipliedAlpha: true });
    if (this.gl) this.restore();
  }

  // Everything on the graphics card, made anew: at the start and after the context was lost.
  restore() {
    const { gl } = this;
    this.floats = Boolean(gl.getExtension("EXT_color_buffer_half_float") || gl.getExtension("EXT_color_buffer_float"));
    this.pointProgram = link(gl, POINT_SHADER, DOT_SHADER);
    this.densityProgram = link(gl, SCREEN_SHADER, DENSITY_SHADER);
    this.sums = [0, 1].map(() => ({ texture: gl.createTexture(), frame: gl.createFramebuffer() }));
    this.blank = gl.createVertexArray();
    this.textureSize = "";
    this.buffers = this.arrays = null;
    if (this.points) this.setPoints(this.points, this.chosen, this.decisions);
  }

  setPoints(points, chosen, decisions) {
    const { gl } = this;
    for (const buffer of this.buffers ?? []) gl.deleteBuffer(buffer);
    this.points = points;
    this.buffers = [points.packed, new Uint8Array(points.n), new Uint8Array(points.n)].map((content) => {
      const buffer = gl.createBuffer();
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.bufferData(gl.ARRAY_BUFFER, content, gl.STATIC_DRAW);
      return buffer;
    });
    this.buffers.push(gl.createBuffer());
    this.draftStride = Math.min(16, Math.max(1, Math.ceil(points.n / DRAFT_POINTS)));
    for (const array of this.arrays ?? []) gl.deleteVertexArray(array);
    this.arrays = [this.#describe(1), this.#describe(this.draftStride)];
    this.setChosen(chosen);
    this.setDecisions(decisions);
  }

  // One bit per point, or null = all are chosen.
  setChosen(bits) {
    this.chosen = bits;
    const bytes = new Uint8Array(this.points.n).fill(1);
    if (bits) for (let rank = 0; rank < bytes.length; rank++) bytes[rank] = (bits[rank >> 3] >> (rank & 7)) & 1;
    this.#upload(this.buffers[1], bytes);
  }

  // Pairs of rank and code, or null = nothing is decided.
  setDecisions(pairs) {
    this.decisions = pairs;
    const bytes = new Uint8Array(this.points.n);
    for (let i = 0; i + 1 < (pairs?.length ?? 0); i += 2) bytes[pairs[i]] = pairs[i + 1];
    this.codes = bytes;
    this.#upload(this.buffers[2], bytes);
    // The decided ones again as a list, to be drawn over the rest.
    const { gl } = this;
    this.decided = (pairs?.length ?? 0) >> 1;
    gl.bindVertexArray(this.arrays[0]);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.buffers[3]);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, Uint32Array.from({ length: this.decided }, (_, i) => pairs[2 * i]), gl.STATIC_DRAW);
  }

  decisionOf(rank) {
    return this.codes[rank];
  }

  // view: { center, scale } in clip space. `draft` draws a sample of a large map while it is being moved.
  drawDensity(view, look, draft = false) {
    const stride = draft ? this.draftStride : 1;
    this.#fitTextures();
    const uniform = this.#sumUp(this.sums[0], view, look, stride);
    this.gl.uniform1i(uniform("flagged"), 0);
    this.gl.uniform1f(uniform("size"), look.size);
    this.gl.drawArrays(this.gl.POINTS, 0, Math.floor(this.points.n / stride));
    const pixel = look.size ** 2 / (this.canvas.width * this.canvas.height * 0.25 * view.scale[0] * view.scale[1]);
    this.crowd = Math.max(1, 0.5 * this.points.crowding * pixel);
  }

  drawFrame(view, look, flagged) {
    const { gl } = this;
    const uniform = this.#sumUp(this.sums[1], view, look, 1);
    gl.uniform1i(uniform("flagged"), 1);
    gl.uniform1f(uniform("size"), look.size * 1.2 + 0.6);
    gl.drawArrays(gl.POINTS, 0, flagged);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    this.#shade(this.sums[0], look, this.crowd, look.faint, look.strong, 0);
    const crowd = Math.max(2, (4 * this.crowd * flagged) / this.points.n);
    this.#shade(this.sums[1], look, crowd, look.flaggedAlpha, 1, 0.3);
    if (look.colorBy !== "decision" || !this.decided) return;
    this.#usePoints(view, look, 1);
    gl.uniform1f(uniform("alpha"), 1);
    gl.uniform1f(uniform("size"), look.size * 1.5 + 2);
    gl.drawElements(gl.POINTS, this.decided, gl.UNSIGNED_INT, 0);
  }

  destroy() {
    this.gl?.getExtension("WEBGL_lose_context")?.loseContext();
  }

  #sumUp(sum, view, look, stride) {
    const { gl } = this;
    gl.bindFramebuffer(gl.FRAMEBUFFER, sum.frame);
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.enable(gl.BLEND);
    // Sums need a float texture; without one, plain blending shows crowds less finely.
    gl.blendFunc(gl.ONE, this.floats ? gl.ONE : gl.ONE_MINUS_SRC_ALPHA);
    const uniform = this.#usePoints(view, look, stride);
    gl.uniform1f(uniform("alpha"), this.floats ? stride : 0.6);
    return uniform;
  }

  #shade(sum, look, crowd, faint, strong, deepen) {
    const { gl, densityProgram } = this;
    const uniform = (name) => gl.getUniformLocation(densityProgram, name);
    gl.useProgram(densityProgram);
    gl.bindVertexArray(this.blank);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, sum.texture);
    gl.uniform1i(uniform("density"), 0);
    gl.uniform1f(uniform("crowd"), crowd);
    gl.uniform1f(uniform("faint"), faint);
    gl.uniform1f(uniform("strong"), strong);
    gl.uniform1f(uniform("deepen"), deepen);
    gl.uniform3f(uniform("ink"), ...look.ink);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  #usePoints(view, look, stride) {
    const { gl, pointProgram } = this;
    const uniform = (name) => gl.getUniformLocation(pointProgram, name);
    gl.useProgram(pointProgram);
    gl.bindVertexArray(this.arrays[stride === 1 ? 0 : 1]);
    gl.uniform2f(uniform("center"), ...view.center);
    gl.uniform2f(uniform("scale"), ...view.scale);
    gl.uniform1f(uniform("total"), Math.max(1, this.points.n - 1));
    gl.uniform1f(uniform("dim"), this.chosen ? 0.08 : 1);
    gl.uniform1i(uniform("colorBy"), MODES.indexOf(look.colorBy));
    gl.uniform1i(uniform("stride"), stride);
    gl.uniform3f(uniform("plain"), ...look.plain);
    gl.uniform3f(uniform("accent"), ...look.accent);
    gl.uniform3fv(uniform("ramp"), look.ramp.flat());
    gl.uniform3fv(uniform("palette"), look.palette.flat());
    gl.uniform3fv(uniform("verdicts"), look.verdicts.flat());
    return uniform;
  }

  // A multiple of the stride reads every second, third … point without a copy.
  #describe(stride) {
    const { gl } = this;
    const array = gl.createVertexArray();
    gl.bindVertexArray(array);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[0]);
    gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 12 * stride, 0);
    gl.vertexAttribIPointer(1, 1, gl.UNSIGNED_SHORT, 12 * stride, 8);
    gl.vertexAttribIPointer(2, 1, gl.UNSIGNED_BYTE, 12 * stride, 10);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[1]);
    gl.vertexAttribIPointer(3, 1, gl.UNSIGNED_BYTE, stride, 0);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[2]);
    gl.vertexAttribIPointer(4, 1, gl.UNSIGNED_BYTE, stride, 0);
    for (let location = 0; location < 5; location++) gl.enableVertexAttribArray(location);
    return array;
  }

  #upload(buffer, bytes) {
    this.gl.bindBuffer(this.gl.ARRAY_BUFFER, buffer);
    this.gl.bufferSubData(this.gl.ARRAY_BUFFER, 0, bytes);
  }

  #fitTextures() {
    const { gl } = this;
    const { width, height } = this.canvas;
    if (this.textureSize === `${width}x${height}`) return;
    this.textureSize = `${width}x${height}`;
    const [format, type] = this.floats ? [gl.RGBA16F, gl.HALF_FLOAT] : [gl.RGBA8, gl.UNSIGNED_BYTE];
    for (const { texture, frame } of this.sums) {
      gl.bindTexture(gl.TEXTURE_2D, texture);
      gl.texImage2D(gl.TEXTURE_2D, 0, format, width, height, 0, gl.RGBA, type, null);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
      gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
      gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
    }
  }
}

function link(gl, vertex, fragment) {
  const program = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(type);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
    throw new Error(`The map's shaders do not compile: ${gl.getProgramInfoLog(program)}`);
  }
  return program;
}
