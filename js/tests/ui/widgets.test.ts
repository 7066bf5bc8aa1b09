// @vitest-environment happy-dom
/** The entries that anywidget loads, over a model that records: what cannot be shown is said in the view and to Python. */

import { afterEach, beforeEach, expect, it, vi } from "vitest";
import graphWidget from "../../src/widgets/graph";
import operandWidget from "../../src/widgets/operands";
import perturbationWidget from "../../src/widgets/perturbation";
import { encodeColumns, SMALL, sampleColumns } from "../sample";
import { layOut, noteCanvases } from "./support";

beforeEach(() => {
  layOut(900, 500);
  noteCanvases();
});
const lives: AbortController[] = [];
afterEach(() => {
  // Frames that are still to come would find no canvas.
  for (const life of lives.splice(0)) life.abort();
  vi.restoreAllMocks();
});

const { arrays, metadata } = sampleColumns(SMALL);
const GOOD = encodeColumns(arrays, metadata);
const DAMAGED = GOOD.slice(0, 200);

function modelOf(state: Record<string, unknown>) {
  const traits = new Map(Object.entries(state));
  return {
    get: (name: string) => traits.get(name),
    set: (name: string, value: unknown) => void traits.set(name, value),
    on: () => {},
    off: () => {},
    send: vi.fn(),
    save_changes: vi.fn(),
  };
}

/** Initialise and render one of the widgets; where its view stands, and how to end it. */
async function shown(widget: () => unknown, model: ReturnType<typeof modelOf>) {
  const controller = new AbortController();
  lives.push(controller);
  const el = document.createElement("div");
  const entry = widget() as { initialize(of: object): unknown; render(of: object): unknown };
  entry.initialize({ model, signal: controller.signal });
  await entry.render({ model, el, signal: controller.signal, host: { getWidget: vi.fn(), getModel: vi.fn() } });
  return { el, controller };
}

it.each([
  ["This graph", graphWidget],
  ["These plots", operandWidget],
  ["This perturbation", perturbationWidget],
])("says that %s cannot be shown, in the view and in the trait", async (what, widget) => {
  const model = modelOf({ _columns: DAMAGED, error: "" });
  const { el, controller } = await shown(widget, model);
  expect(el.querySelector('[role="alert"]')!.textContent).toContain(`${what} cannot be shown. The data are damaged`);
  expect(model.get("error")).toContain("The data are damaged");
  expect(model.save_changes).toHaveBeenCalledTimes(1);
  controller.abort();
  expect(el.childElementCount).toBe(0);
});

it("writes no trait that a widget does not have", async () => {
  const model = modelOf({ _columns: DAMAGED });
  await shown(graphWidget, model);
  expect([model.get("error"), model.save_changes.mock.calls.length]).toEqual([undefined, 0]);
});

it("takes the error back when the graph is shown", async () => {
  const model = modelOf({ _columns: GOOD, error: "The data are damaged", node_threshold: 1, edge_threshold: 1 });
  const { el } = await shown(graphWidget, model);
  expect([model.get("error"), el.querySelector('[role="alert"]')]).toEqual(["", null]);
  expect(el.querySelector(".ctw-prompt")!.textContent).toBe("ab");
});

it("keeps an error of the model that a perturbation cannot know better", async () => {
  const model = modelOf({ _columns: GOOD, _boxes: [["sum", [["feature", 1, 1, 13]]]], error: "out of memory" });
  const { el } = await shown(perturbationWidget, model);
  expect(model.get("error")).toBe("out of memory");
  expect(el.querySelector('[role="status"]')!.textContent).toContain("The model did not answer: out of memory");
});

it("sends a threshold that a hand moves to Python", async () => {
  const model = modelOf({ _columns: GOOD, error: "", node_threshold: 0.8, edge_threshold: 1 });
  const { el } = await shown(graphWidget, model);
  const range = el.querySelector<HTMLInputElement>('input[type="range"]')!;
  range.value = "0.5";
  range.dispatchEvent(new Event("input"));
  expect([model.get("node_threshold"), model.save_changes.mock.calls.length]).toEqual([0.5, 1]);
});
