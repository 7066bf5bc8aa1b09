// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Session } from "../../src/core/graph_widget/session";
import { listenKeys, type Parts } from "../../src/ui/graph/keyboard";
import { h } from "../../src/ui/parts/dom";
import { PlotState } from "../../src/ui/plot/state";
import { press, sampleSession } from "./support";

let session: Session;
let state: PlotState;
let controller: AbortController;
let root: HTMLElement;
let stage: HTMLElement;
const [label, group, open, key] = [vi.fn(), vi.fn(), vi.fn(), vi.fn(() => false)];

beforeEach(() => {
  session = sampleSession({ selected: ["feature", 1, 1, 13] });
  state = new PlotState(session, (text) => 6 * text.length);
  state.resize(600, 400);
  controller = new AbortController();
  stage = h("div", { tabindex: 0 });
  root = h("div", {}, stage);
  document.body.append(root);
  for (const mock of [label, group, open, key]) mock.mockClear();
  const parts = { plot: { state, stage }, panel: { label }, subgraph: { group, key }, search: { open } };
  listenKeys(root, parts as unknown as Parts, session, controller.signal);
});
afterEach(() => {
  controller.abort();
  root.remove();
});

it("follows the strongest input and output", () => {
  expect(press(stage, "[").defaultPrevented).toBe(true);
  expect(session.selectedRow.value).toBe(2);
  press(stage, "]");
  expect(session.selectedRow.value).toBe(6);
});

it("walks the plot with arrow keys", () => {
  press(stage, "ArrowUp");
  expect(session.selectedRow.value).toBe(8);
  press(stage, "ArrowLeft");
  expect(session.selectedRow.value).toBe(7);
});

it("pins, undoes and redoes", () => {
  press(stage, "p");
  expect(session.pinnedRows.value).toEqual([6]);
  press(stage, "z", { ctrlKey: true });
  expect(session.pinnedRows.value).toEqual([]);
  press(stage, "Z", { metaKey: true, shiftKey: true });
  expect(session.pinnedRows.value).toEqual([6]);
});

it("zooms, and goes back to the whole", () => {
  press(stage, "+");
  expect(state.viewport.value.scale).toBeCloseTo(1.4);
  press(stage, "-");
  expect(state.viewport.value.scale).toBeCloseTo(1);
  press(stage, "z");
  expect(state.viewport.value.scale).toBeGreaterThan(1);
  press(stage, "0");
  expect(state.viewport.value.scale).toBe(1);
});

it("asks the parts for what is theirs", () => {
  for (const name of ["l", "g", "/"]) press(stage, name);
  expect([label, group, open].map((mock) => mock.mock.calls.length)).toEqual([1, 1, 1]);
  key.mockReturnValueOnce(true);
  press(stage, "p");
  expect(session.pinnedRows.value).toEqual([]);
});

it("releases what is selected", () => {
  press(stage, "Escape");
  expect(session.selectedRow.value).toBeNull();
});

it("leaves to others what it does not know, and keys pressed elsewhere", () => {
  const other = h("div");
  document.body.append(other);
  expect(press(other, "p").defaultPrevented).toBe(false);
  expect(press(stage, "q").defaultPrevented).toBe(false);
  expect(press(stage, "p", { altKey: true }).defaultPrevented).toBe(false);
  expect(press(stage, "c", { ctrlKey: true }).defaultPrevented).toBe(false);
  expect(session.pinnedRows.value).toEqual([]);
  other.remove();
});

it("lets one type and slide, and keeps arrows of a slider from the notebook", () => {
  const outside = vi.fn();
  document.body.addEventListener("keydown", outside);
  const [text, range] = [h("input", { type: "text" }), h("input", { type: "range" })];
  root.append(text, range);
  press(text, "p");
  expect([session.pinnedRows.value, outside.mock.calls.length]).toEqual([[], 1]);
  const arrow = press(range, "ArrowRight");
  expect([arrow.defaultPrevented, outside.mock.calls.length]).toEqual([false, 1]);
  document.body.removeEventListener("keydown", outside);
});

it("comes before listeners on the document that capture, as JupyterLab's", () => {
  const lab = vi.fn();
  document.addEventListener("keydown", lab, { capture: true });
  press(stage, "p");
  expect([session.pinnedRows.value, lab.mock.calls.length]).toEqual([[6], 0]);
  document.removeEventListener("keydown", lab, { capture: true });
});

it("hears nothing after the end", () => {
  controller.abort();
  expect(press(stage, "p").defaultPrevented).toBe(false);
  expect(session.pinnedRows.value).toEqual([]);
});
