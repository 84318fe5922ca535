// What the map keeps on the graphics card.

import { DENSITY_SHADER, DOT_SHADER, POINT_SHADER, SCREEN_SHADER } from "./shaders.js";

/** @typedef {{ texture: WebGLTexture, frame: WebGLFramebuffer }} Sum */
/** @typedef {ReturnType<typeof makeResources>} Resources */

/**
 * Programs, buffers and textures, all empty. Sums of colours need a float texture; without one `floats` is false.
 *
 * @param {WebGL2RenderingContext} gl
 */
export function makeResources(gl) {
  const floats = gl.getExtension("EXT_color_buffer_half_float") ?? gl.getExtension("EXT_color_buffer_float");
  return {
    floats: Boolean(floats),
    pointProgram: link(gl, POINT_SHADER, DOT_SHADER),
    densityProgram: link(gl, SCREEN_SHADER, DENSITY_SHADER),
    all: makeSum(gl),
    flagged: makeSum(gl),
    noArrays: gl.createVertexArray(),
    places: gl.createBuffer(),
    slots: gl.createBuffer(),
    selection: gl.createBuffer(),
    decisions: gl.createBuffer(),
    decided: gl.createBuffer(),
  };
}

/**
 * @param {WebGL2RenderingContext} gl
 * @returns {Sum}
 */
function makeSum(gl) {
  return { texture: gl.createTexture(), frame: gl.createFramebuffer() };
}

/**
 * A program of two shaders.
 *
 * @param {WebGL2RenderingContext} gl
 * @param {string} vertex
 * @param {string} fragment
 */
function link(gl, vertex, fragment) {
  const program = gl.createProgram();
  attach(gl, program, gl.VERTEX_SHADER, vertex);
  attach(gl, program, gl.FRAGMENT_SHADER, fragment);
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
    throw new Error(`The map's shaders do not compile: ${gl.getProgramInfoLog(program)}`);
  }
  return program;
}

/**
 * @param {WebGL2RenderingContext} gl
 * @param {WebGLProgram} program
 * @param {number} type
 * @param {string} source
 */
function attach(gl, program, type, source) {
  const shader = gl.createShader(type);
  if (!shader) return; // the context is lost
  gl.shaderSource(shader, source);
  gl.compileShader(shader);
  gl.attachShader(program, shader);
}
