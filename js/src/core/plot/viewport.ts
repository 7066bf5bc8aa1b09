/** The zoomed and panned window onto a layout: screen = world * scale + offset, never showing less than a full plot. */

export interface Viewport {
  readonly scale: number;
  readonly x: number;
  readonly y: number;
}

export const WHOLE: Viewport = { scale: 1, x: 0, y: 0 };
const LARGEST_SCALE = 24;
/** Around what a window is fitted to, and the most that fitting magnifies. */
const FIT_ROOM = 24;
const LARGEST_FIT = 6;

function clampTo(view: Viewport, width: number, height: number): Viewport {
  const clamp = (value: number, size: number): number => Math.min(0, Math.max(size * (1 - view.scale), value));
  return { scale: view.scale, x: clamp(view.x, width), y: clamp(view.y, height) };
}

/** Zoom by `factor` so that the point (x, y) of the screen stays where it is. */
export function zoomAt(view: Viewport, factor: number, x: number, y: number, width: number, height: number): Viewport {
  const scale = Math.min(LARGEST_SCALE, Math.max(1, view.scale * factor));
  const ratio = scale / view.scale;
  return clampTo({ scale, x: x - (x - view.x) * ratio, y: y - (y - view.y) * ratio }, width, height);
}

export function panBy(view: Viewport, dx: number, dy: number, width: number, height: number): Viewport {
  return clampTo({ scale: view.scale, x: view.x + dx, y: view.y + dy }, width, height);
}

/** The window that shows the box (left, top, right, bottom) of the plot with some room around it. */
export function fitBox(box: readonly [number, number, number, number], width: number, height: number): Viewport {
  const [left, top, right, bottom] = box;
  const fitting = Math.min(width / (right - left + 2 * FIT_ROOM), height / (bottom - top + 2 * FIT_ROOM));
  const scale = Math.min(LARGEST_FIT, Math.max(1, fitting));
  const centre = (from: number, to: number, size: number): number => size / 2 - ((from + to) / 2) * scale;
  return clampTo({ scale, x: centre(left, right, width), y: centre(top, bottom, height) }, width, height);
}

/** The window after the plot changed its size: the same part of the world. */
export function resize(view: Viewport, width: number, height: number, toWidth: number, toHeight: number): Viewport {
  return clampTo(
    { scale: view.scale, x: (view.x * toWidth) / width, y: (view.y * toHeight) / height },
    toWidth,
    toHeight,
  );
}

/** How much larger marks are drawn: less than the plot, so that zooming pulls nodes apart. */
export function markScale(view: Viewport): number {
  return view.scale ** 0.55;
}
