// @vitest-environment happy-dom
import { signal } from "@preact/signals-core";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { type Answer, readBoxes } from "../../src/core/perturbation/perturbation";
import { PerturbationSession } from "../../src/core/perturbation/session";
import type { Strengths } from "../../src/core/perturbation/strength";
import { createBoxes } from "../../src/ui/perturbation/boxes";
import { createCurve } from "../../src/ui/perturbation/curve";
import { createOutputs } from "../../src/ui/perturbation/outputs";
import { createSettings } from "../../src/ui/perturbation/settings";
import { SMALL, sampleGraph } from "../sample";
import { HOSTILE, press } from "./support";

const ANSWER: Answer = {
  strengths: {},
  method: "constrained",
  layers: [0, 1],
  frozenAttention: true,
  activity: { [HOSTILE]: 0.5 },
  outputs: [
    { id: 900, token: "x", before: 0.9, after: 0.2, rankBefore: 0, rankAfter: 3 },
    { id: 901, token: HOSTILE, before: 0.05, after: 0.7, rankBefore: 1, rankAfter: 0 },
  ],
  ms: 12.3,
};
const CURVE = { name: HOSTILE, values: [-2, 0, 2], tokens: ["x", HOSTILE], ids: [900, 901] };

let session: PerturbationSession;
let controller: AbortController;
let boxes: ReturnType<typeof createBoxes>;
const measure = (text: string): number => 6 * text.length;

beforeEach(() => {
  controller = new AbortController();
  const graph = sampleGraph(SMALL);
  const named = [
    [HOSTILE, [["feature", 1, 1, 13]]],
    ["next", [["logit", 2, 1, 900]]],
  ];
  const curve = {
    ...CURVE,
    logits: [
      [1, 2, 3],
      [3, 2, 1],
    ],
    probability: [
      [0, 0, 0],
      [0, 0, 0],
    ],
  };
  const synced = {
    strengths: signal<Strengths>({}),
    active: signal<string | null>(HOSTILE),
    method: signal("constrained"),
    lastLayer: signal<number | null>(null),
    freezeAttention: signal<boolean | null>(true),
    theme: signal("light" as const),
    answer: signal<Answer | null>(ANSWER),
    curve: signal(curve),
    error: signal(""),
  };
  session = new PerturbationSession(graph, readBoxes(graph, named), synced, null);
  boxes = createBoxes(session, { plain: measure, title: measure }, controller.signal);
  boxes.lay(600);
  document.body.append(boxes.element as unknown as HTMLElement);
});
afterEach(() => {
  vi.restoreAllMocks();
  document.body.replaceChildren();
});

const slider = (): SVGGElement => boxes.element.querySelector<SVGGElement>('[role="slider"]')!;
const strength = (): number | undefined => session.synced.strengths.value[HOSTILE];

it("has a slider for every box with features, under its name, which stays text", () => {
  expect([slider().getAttribute("aria-label"), slider().getAttribute("aria-valuenow")]).toEqual([HOSTILE, "1"]);
  expect(slider().getAttribute("aria-valuetext")).toBe("strength 1, activity 50 %");
  expect(boxes.element.querySelector("img")).toBeNull();
});

it("moves by keys: a tenth, with Shift a half, to the ends and back to 1", () => {
  press(slider(), "ArrowLeft");
  expect(strength()).toBe(0.9);
  press(slider(), "ArrowDown", { shiftKey: true });
  expect(strength()).toBe(0.4);
  expect(press(slider(), "Home").defaultPrevented).toBe(true);
  expect(strength()).toBe(-2);
  press(slider(), "End");
  expect(strength()).toBe(2);
  press(slider(), "Enter");
  expect(session.synced.strengths.value).toEqual({});
  session.undo();
  expect(strength()).toBe(2);
});

it("shows its own strength at once, and says that a hand set it", () => {
  press(slider(), "Home");
  boxes.paint();
  expect(slider().classList.contains("ctw-p-set")).toBe(true);
  expect(slider().querySelector(".ctw-p-number")!.textContent).toBe("−200 %");
  expect(slider().querySelector("title")!.textContent).toContain("set by hand");
});

it("hears nothing after the end", () => {
  controller.abort();
  press(slider(), "Home");
  expect(strength()).toBeUndefined();
});

it("lists outputs by their probability now, with places won and lost", () => {
  const outputs = createOutputs(session);
  outputs.lay(300);
  outputs.paint();
  expect([...outputs.element.querySelectorAll(".ctw-p-code")].map(({ textContent }) => textContent)).toEqual([
    `${HOSTILE.slice(0, 13)}…`,
    "x",
  ]);
  expect([...outputs.element.querySelectorAll(".ctw-p-rank")].map(({ textContent }) => textContent)).toEqual([
    "▲1",
    "▼3",
  ]);
  expect(outputs.element.querySelector("img")).toBeNull();
});

it("draws a curve per token, and a line that follows the hand", () => {
  const curve = createCurve(session);
  curve.lay(330);
  expect(curve.element.querySelectorAll("path.ctw-p-line")).toHaveLength(2);
  const line = (): string => curve.element.querySelector(".ctw-p-hand path")!.getAttribute("d")!;
  const before = line();
  press(slider(), "Home");
  curve.paint();
  expect(line()).not.toBe(before);
  expect(curve.element.querySelectorAll(".ctw-p-dot")).toHaveLength(2);
});

it("sets method, layers and attention, each a trait", () => {
  const settings = createSettings(session, controller.signal);
  const [method, last] = [...settings.querySelectorAll("select")] as [HTMLSelectElement, HTMLSelectElement];
  expect(settings.textContent).toContain("norms frozen: the range holds all layers · model 12 ms");
  method.value = "open";
  method.dispatchEvent(new Event("change"));
  const { synced } = session;
  expect([synced.method.value, synced.freezeAttention.value, last.disabled]).toEqual(["open", null, true]);
  last.value = "1";
  last.dispatchEvent(new Event("change"));
  expect(synced.lastLayer.value).toBe(1);
});
