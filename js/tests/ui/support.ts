/** What happy-dom lacks (it never lays out and has no canvas), and sessions to show. */

import { vi } from "vitest";
import { Session } from "../../src/core/graph_widget/session";
import { type Sample, SMALL, sampleGraph, synced } from "../sample";

export const HOSTILE = '<img src=x onerror="window.hacked=1">';

/** Everything is so wide and high from now on; observers of sizes hear of it at once, and again by what this gives back. */
export function layOut(width: number, height = width): { resize(width: number): void; observed(): number } {
  let size = width;
  const running = new Set<() => void>();
  for (const [name, value] of [
    ["clientWidth", () => size],
    ["clientHeight", () => height],
  ] as const)
    vi.spyOn(HTMLElement.prototype, name, "get").mockImplementation(value);
  class Observer {
    constructor(readonly run: () => void) {}
    observe(): void {
      running.add(this.run);
      this.run();
    }
    disconnect(): void {
      running.delete(this.run);
    }
  }
  vi.stubGlobal("ResizeObserver", Observer);
  return {
    resize: (to) => {
      size = to;
      for (const run of running) run();
    },
    observed: () => running.size,
  };
}

/** Canvases note what is drawn; text is 6 pixels a letter. Gives back the pixels put last. */
export function noteCanvases(): { put: Uint8ClampedArray | null; calls: string[] } {
  const noted: { put: Uint8ClampedArray | null; calls: string[] } = { put: null, calls: [] };
  const context = new Proxy(
    {},
    {
      get: (_, name) => {
        if (name === "measureText") return (text: string) => ({ width: 6 * text.length });
        if (name === "canvas") return { width: 0, height: 0 };
        if (name === "createImageData") return (width: number, height: number) => new Pixels(width, height);
        if (name === "putImageData") return ({ data }: Pixels) => (noted.put = data.slice());
        return () => noted.calls.push(String(name));
      },
      set: () => true,
    },
  );
  vi.spyOn(HTMLCanvasElement.prototype, "getContext").mockReturnValue(context as never);
  return noted;
}

export class Pixels {
  readonly data: Uint8ClampedArray;

  constructor(
    readonly width: number,
    readonly height: number,
  ) {
    this.data = new Uint8ClampedArray(4 * width * height);
  }
}

/** A session of the small graph, or of another sample. */
export function sampleSession(state: Parameters<typeof synced>[0] = {}, sample: Sample = SMALL): Session {
  return new Session(sampleGraph(sample), synced(state));
}

/** Press a key on an element, as a person does. Gives back the event. */
export function press(target: Element, key: string, options: KeyboardEventInit = {}): KeyboardEvent {
  const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, composed: true, ...options });
  target.dispatchEvent(event);
  return event;
}

export function point(target: Element, type: string, options: PointerEventInit = {}): void {
  target.dispatchEvent(new PointerEvent(type, { bubbles: true, cancelable: true, ...options }));
}
