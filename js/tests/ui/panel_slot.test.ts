// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Session } from "../../src/core/graph_widget/session";
import { createSlots, type PanelExports, type PanelHost } from "../../src/ui/graph/panel_slot";
import { SMALL, sampleGraph, synced } from "../sample";
import { HOSTILE } from "./support";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const report = vi.fn();
const session = (panels: string[]): Session => {
  report.mockClear();
  return new Session(sampleGraph(SMALL), synced({ panels }), null, report);
};

/** A host of one widget, which writes its name; the lives that its views were given. */
function hostOf(exports?: PanelExports) {
  const lives: AbortSignal[] = [];
  const host = {
    getWidget: async (ref: string) => ({
      exports,
      render: async ({ el, signal }: { el: HTMLElement; signal: AbortSignal }) => {
        lives.push(signal);
        el.append(`widget ${ref}`);
      },
    }),
  } as unknown as PanelHost;
  return { host, lives };
}
const settled = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);

it("mounts the widgets of the trait and tells them of the node in focus", async () => {
  const showNode = vi.fn((node: readonly unknown[]) => node[0] === "feature");
  const view = session(["a"]);
  const slots = createSlots(view, hostOf({ showNode }).host, new AbortController().signal);
  await settled();
  expect(slots.textContent).toBe("widget a");
  expect((slots.firstElementChild as HTMLElement).hidden).toBe(true);
  view.select(6);
  expect(showNode).toHaveBeenLastCalledWith(["feature", 1, 1, 13]);
  expect((slots.firstElementChild as HTMLElement).hidden).toBe(false);
  view.select(7);
  expect((slots.firstElementChild as HTMLElement).hidden).toBe(true);
});

it("waits until the pointer rests", async () => {
  const showNode = vi.fn();
  const view = session(["a"]);
  createSlots(view, hostOf({ showNode }).host, new AbortController().signal);
  await settled();
  view.hover(2);
  await vi.advanceTimersByTimeAsync(60);
  view.hover(3);
  await vi.advanceTimersByTimeAsync(60);
  expect(showNode).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(60);
  expect(showNode.mock.calls).toEqual([[["feature", 0, 1, 11]]]);
});

it("ends the views of panels that go, and all at the end", async () => {
  const { host, lives } = hostOf();
  const view = session(["a"]);
  const controller = new AbortController();
  const slots = createSlots(view, host, controller.signal);
  await settled();
  (view.synced.panels as { value: readonly string[] }).value = ["b", "c"];
  await settled();
  expect([slots.textContent, lives.map(({ aborted }) => aborted)]).toEqual(["widget bwidget c", [true, false, false]]);
  controller.abort();
  expect(lives.every(({ aborted }) => aborted)).toBe(true);
});

it("says which panel cannot be shown, as text, and Python hears of it", async () => {
  const host = { getWidget: () => Promise.reject(new Error(HOSTILE)) } as unknown as PanelHost;
  const view = session(["a"]);
  const slots = createSlots(view, host, new AbortController().signal);
  view.select(6);
  await settled();
  expect(slots.textContent).toBe(`This panel cannot be shown. Error: ${HOSTILE}`);
  expect(slots.querySelector("img")).toBeNull();
  expect((slots.firstElementChild as HTMLElement).hidden).toBe(false);
  expect(report.mock.calls).toEqual([[""], [`panel: Error: ${HOSTILE}`]]);
});

it("mounts nothing where there is no host of widgets", async () => {
  const slots = createSlots(session(["a"]), undefined, new AbortController().signal);
  await settled();
  expect(slots.childElementCount).toBe(0);
});
