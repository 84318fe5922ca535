// What lies over the points: the outline of the selection, rings around the hovered point and the keyboard's focus.

import { css } from "../common.js";

export function drawOverlay(map) {
  const { overlay, ratio, view, theme, data } = map;
  const path = map.path ?? data.polygon?.map((corner) => view.toScreen(corner));
  const isEmpty = !path && map.hovered < 0 && map.focused < 0;
  // A frame of a drag mostly has nothing here, and a canvas that is not touched costs nothing.
  if (isEmpty && map.overlayIsEmpty) return;
  map.overlayIsEmpty = isEmpty;
  const context = overlay.getContext("2d");
  // Chromium may go on showing the last frame when a canvas is only cleared; a new width always shows.
  overlay.width = Math.round(view.width * ratio);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  if (path?.length > 1) {
    context.beginPath();
    for (const [x, y] of path) context.lineTo(x, y);
    context.closePath();
    context.fillStyle = css(theme.text, 0.06);
    context.fill();
    context.lineWidth = 1.5;
    context.strokeStyle = css(theme.text, 0.8);
    context.setLineDash(map.path ? [5, 4] : []);
    context.stroke();
    context.setLineDash([]);
  }
  if (map.hovered >= 0) ring(context, view.toScreen(map.placeOf(map.hovered)), theme, 7);
  if (map.focused >= 0) ring(context, view.toScreen(map.placeOf(map.focused)), theme, 9);
}

// Two strokes, so that the ring shows on any ground.
function ring(context, [x, y], theme, radius) {
  for (const [width, color] of [[4, theme.background], [2, theme.text]]) {
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.lineWidth = width;
    context.strokeStyle = css(color);
    context.stroke();
  }
}
