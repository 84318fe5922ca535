// The programs that the graphics card runs: points into a texture of sums, and sums onto the screen.

// Filtered-out points are drawn once, faint and plain; never among the flagged.
export const POINT_SHADER = `#version 300 es
precision highp float;
layout(location = 0) in vec2 place;
layout(location = 1) in uint slot;
layout(location = 2) in uint selection;
layout(location = 3) in uint decision;
uniform vec2 center, scale;
uniform float size, total, dim;
uniform int colorBy, stride;
uniform bool flagged;
uniform vec3 plain, accent, ramp[3], palette[20], verdicts[5];
out vec4 tint;

vec3 ramped(float t) { return t < 0.5 ? mix(ramp[0], ramp[1], 2.0 * t) : mix(ramp[1], ramp[2], 2.0 * t - 1.0); }

void main() {
  bool hidden = flagged && selection == 0u;
  gl_Position = hidden ? vec4(2.0, 2.0, 2.0, 1.0) : vec4((place - center) * scale, 0.0, 1.0);
  gl_PointSize = size;
  float suspicion = 1.0 - float(gl_VertexID * stride) / total;
  vec3 color = flagged ? accent : plain;
  if (selection == 0u) color = plain;
  else if (colorBy == 1) color = ramped(suspicion * suspicion);
  else if (colorBy == 2) color = slot == 255u ? plain : palette[slot];
  else if (colorBy == 3) color = decision == 0u ? color : verdicts[min(decision, 4u)];
  tint = vec4(color, selection == 0u ? dim : 1.0);
}`;

export const DOT_SHADER = `#version 300 es
precision highp float;
in vec4 tint;
uniform float alpha, size;
out vec4 color;
void main() {
  float covered = clamp((0.5 - length(gl_PointCoord - 0.5)) * size + 0.5, 0.0, 1.0);
  color = vec4(tint.rgb, 1.0) * tint.a * alpha * covered;
}`;

export const SCREEN_SHADER = `#version 300 es
const vec2 corners[3] = vec2[3](vec2(-1, -1), vec2(3, -1), vec2(-1, 3));
void main() { gl_Position = vec4(corners[gl_VertexID], 0.0, 1.0); }`;

// The shade follows the logarithm of how many points lie on a pixel, so that a crowd of thousands and a lone point show both.
export const DENSITY_SHADER = `#version 300 es
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
