// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Session } from "../../src/core/graph_widget/session";
import { h } from "../../src/ui/parts/dom";
import { createSubgraph, type Subgraph } from "../../src/ui/subgraph/subgraph";
import { HOSTILE, layOut, noteCanvases, press, sampleSession } from "./support";

let session: Session;
let subgraph: Subgraph;
let page: ReturnType<typeof layOut>;
let controller: AbortController;

beforeEach(() => {
  page = layOut(600);
  noteCanvases();
  controller = new AbortController();
  const supernodes = [[HOSTILE, [["feature", 0, 0, 11] as const, ["feature", 0, 1, 12] as const]]] as const;
  session = sampleSession({ supernodes, pinned: [["feature", 1, 1, 13]] });
  const root = h("div");
  subgraph = createSubgraph(session, root, () => {}, controller.signal);
  root.append(subgraph.element);
  document.body.append(root);
});
afterEach(() => {
  vi.restoreAllMocks();
  document.body.replaceChildren();
});

const boxes = (): SVGGElement[] => [...subgraph.element.querySelectorAll<SVGGElement>(".ctw-box")];
const button = (name: string): HTMLButtonElement =>
  [...subgraph.element.querySelectorAll("button")].find(({ textContent }) => textContent === name)!;

it("draws a box per supernode and single node, names as text, and edges between them", () => {
  expect(boxes().map((box) => box.querySelector("text")!.textContent)).toEqual([`${HOSTILE.slice(0, 24)}…`, "L1/13"]);
  expect(subgraph.element.querySelector("img")).toBeNull();
  expect(subgraph.element.querySelectorAll(".ctw-box-edge")).toHaveLength(1);
});

it("shows what is selected also in boxes that were drawn anew", () => {
  const selected = (): boolean[] => boxes().map((box) => box.classList.contains("ctw-box-selected"));
  session.select(6);
  expect(selected()).toEqual([false, true]);
  session.toggleMark(session.boxes.value[0]!);
  expect([selected(), boxes()[0]!.getAttribute("aria-pressed")]).toEqual([[false, true], "true"]);
  page.resize(500);
  expect(selected()).toEqual([false, true]);
  session.hover(2);
  expect(boxes().map((box) => box.classList.contains("ctw-box-hovered"))).toEqual([true, false]);
});

it("goes from box to box, moves, marks and names them by keys", () => {
  const [first, second] = boxes();
  first!.focus();
  subgraph.key(new KeyboardEvent("keydown", { key: "ArrowRight" }), first!);
  expect((document.activeElement as unknown as SVGGElement).dataset["key"]).toBe(second!.dataset["key"]);
  expect(subgraph.key(new KeyboardEvent("keydown", { key: " " }), second!)).toBe(true);
  expect(session.marked.value.size).toBe(1);
  subgraph.key(new KeyboardEvent("keydown", { key: "ArrowUp", shiftKey: true }), boxes()[1]!);
  expect(Object.keys(session.synced.places.value)).toEqual([second!.dataset["key"]]);
  subgraph.key(new KeyboardEvent("keydown", { key: "Enter" }), boxes()[1]!);
  const input = subgraph.element.querySelector("input")!;
  input.value = "carry";
  press(input, "Enter");
  expect(session.label(6)).toBe("carry");
  expect(subgraph.key(new KeyboardEvent("keydown", { key: "q" }), boxes()[1]!)).toBe(false);
  expect(subgraph.key(new KeyboardEvent("keydown", { key: " " }), subgraph.element)).toBe(false);
});

it("offers what is of use, and undoes it", () => {
  expect([button("Group").disabled, button("Ungroup").disabled, button("Undo").disabled]).toEqual([false, false, true]);
  session.toggleMark(session.boxes.value[0]!);
  button("Ungroup").click();
  expect([boxes().length, button("Ungroup").disabled]).toEqual([3, true]);
  button("Undo").click();
  expect(boxes()).toHaveLength(2);
});

it("says what to do while there is nothing, and draws no more after the end", () => {
  controller.abort();
  session.togglePin(6);
  expect(boxes()).toHaveLength(2);
  const other = createSubgraph(sampleSession(), h("div"), () => {}, new AbortController().signal);
  expect(other.element.textContent).toContain("select a node and press P");
});
