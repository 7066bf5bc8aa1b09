/** Pointer, wheel and touch on the plot, as hover, click, zoom and pan. Plain wheel stays with the page. */

export interface GestureHandlers {
  hover(x: number, y: number): void;
  leave(): void;
  click(x: number, y: number, isShifted: boolean): void;
  zoom(factor: number, x: number, y: number): void;
  pan(dx: number, dy: number): void;
  reset(): void;
}

/** A press that moves less than this is a click. */
const CLICK_SLACK = 4;

export function listenGestures(element: HTMLElement, handlers: GestureHandlers, abort: AbortSignal): void {
  const pressed = new Map<number, { x: number; y: number }>();
  let travelled = 0;
  const at = (event: MouseEvent): { x: number; y: number } => {
    const box = element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const on = <K extends keyof HTMLElementEventMap>(type: K, handler: (event: HTMLElementEventMap[K]) => void): void =>
    element.addEventListener(type, handler, { signal: abort, passive: false });

  on("pointerdown", (event) => {
    if (event.button !== 0 || (event.target as Element).closest("button")) return;
    if (pressed.size === 0) travelled = 0;
    pressed.set(event.pointerId, at(event));
    element.setPointerCapture(event.pointerId);
  });
  on("pointermove", (event) => {
    const now = at(event);
    const before = pressed.get(event.pointerId);
    if (!before) {
      handlers.hover(now.x, now.y);
      return;
    }
    const others = [...pressed].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    travelled += Math.hypot(now.x - before.x, now.y - before.y);
    pressed.set(event.pointerId, now);
    if (others.length === 0) {
      if (travelled >= CLICK_SLACK) handlers.pan(now.x - before.x, now.y - before.y);
      return;
    }
    const other = others[0]!;
    const spread = (place: { x: number; y: number }): number => Math.hypot(place.x - other.x, place.y - other.y);
    if (spread(before) > 0) handlers.zoom(spread(now) / spread(before), (now.x + other.x) / 2, (now.y + other.y) / 2);
  });
  on("pointerup", (event) => {
    const wasPressed = pressed.delete(event.pointerId);
    if (!wasPressed || pressed.size > 0 || travelled >= CLICK_SLACK) return;
    const { x, y } = at(event);
    handlers.click(x, y, event.shiftKey);
  });
  on("pointercancel", (event) => void pressed.delete(event.pointerId));
  on("pointerleave", () => handlers.leave());
  on("dblclick", () => handlers.reset());
  on("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const { x, y } = at(event);
    // Lines and pages to pixels; a notch of a wheel comes to about 1.2 times.
    const pixels = event.deltaY * [1, 16, 100][event.deltaMode]!;
    handlers.zoom(Math.exp(-Math.max(-60, Math.min(60, pixels)) / 300), x, y);
  });
}
