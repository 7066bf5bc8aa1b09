import { readFileSync } from "node:fs";
import { signal } from "@preact/signals-core";
import { describe, expect, it } from "vitest";
import { decodeColumns } from "../src/core/columns";
import { FEATURE, type Graph, idOf, LOGIT, readGraph } from "../src/core/graph/graph";
import { Grid } from "../src/core/perturbation/grid";
import {
  type Answer,
  isDirect,
  predict,
  predictedActivity,
  predictedOutputs,
  pythonCode,
  readAnswer,
  readBoxes,
  readCurve,
  scalesOf,
} from "../src/core/perturbation/perturbation";
import { PerturbationSession } from "../src/core/perturbation/session";
import { History, snap, withStrength } from "../src/core/perturbation/strength";
import { layoutBoxes } from "../src/core/plot/box_layout";

interface Case {
  columns: string;
  scales: [number, number][];
  clampedTo: number;
  direct: number[];
  total: number[];
}
const { cases } = JSON.parse(readFileSync(new URL("fixtures/perturbation.json", import.meta.url), "utf8")) as {
  cases: Case[];
};
const read = ({ columns }: Case): Graph => readGraph(decodeColumns(new Uint8Array(Buffer.from(columns, "base64"))));
const graph = read(cases[0]!);
const features = Array.from(graph.kind.keys()).filter((row) => graph.kind[row] === FEATURE);

const raw = (strengths: Record<string, number>, over: object = {}): Record<string, unknown> => ({
  strengths,
  method: "constrained",
  layers: [0, 1],
  frozen_attention: true,
  activity: { low: strengths["low"] ?? 1, high: 0.5, none: null },
  outputs: [
    [500, "95", 0.9, 0.25, 0, 1],
    [501, "94", 0.05, 0.5, 1, 0],
  ],
  ...over,
});
const answerOf = (strengths: Record<string, number>, over: object = {}): Answer => readAnswer(raw(strengths, over))!;
const boxes = readBoxes(graph, [
  [
    "low",
    features
      .filter((row) => graph.layer[row] === 0)
      .slice(0, 2)
      .map((row) => idOf(graph, row)),
  ],
  ["high", [idOf(graph, features.at(-1)!)]],
  ["token", [idOf(graph, 0)]],
]);

describe.each(cases)("a prediction that Python computed, %#", (expected) => {
  it("is the same along single edges and along all paths", () => {
    const own = read(expected);
    const scales = new Map(expected.scales);
    const found = predict(own, scales, expected.clampedTo);
    for (let row = 0; row < own.n; row++) {
      if (scales.has(row)) continue;
      expect(found.direct[row]).toBeCloseTo(expected.direct[row]!, 3);
      expect(Math.abs(found.total[row]! - expected.total[row]!)).toBeLessThan(
        1e-4 * (1 + Math.abs(expected.total[row]!)),
      );
    }
  });
});

describe("strengths", () => {
  it("stop at ticks and in steps of a twentieth, inside the ends", () => {
    expect([0.95, 1.06, -0.04, 3, -9, 0.62, 1.31].map((value) => snap(value))).toEqual([1, 1, 0, 2, -2, 0.6, 1.3]);
    expect(snap(0.4, [-1, 0, 1])).toBe(0);
  });

  it("are undone one change at a time", () => {
    const history = new History();
    history.keep({}, { a: 1.5 });
    history.keep({ a: 1.5 }, { a: 1.5 });
    history.keep({ a: 1.5 }, { a: 1.5, b: 0 });
    expect([history.length, history.undo(), history.undo(), history.undo()]).toEqual([2, { a: 1.5 }, {}, undefined]);
    expect(withStrength({ a: 1, b: 2 }, "a", null)).toEqual({ b: 2 });
  });
});

describe("boxes and answers", () => {
  it("are read with what is in them, and nothing that is not", () => {
    expect(boxes.map(({ name, features }) => [name, features.length])).toEqual([
      ["low", 2],
      ["high", 1],
      ["token", 0],
    ]);
    expect(readBoxes(graph, [["gone", [["feature", 0, 0, 999_999]]], [3, []], "x"])).toEqual([]);
    expect(readAnswer({})).toBeNull();
    expect(readCurve({ values: [] })).toBeNull();
  });

  it("tell direct effects, which hold by construction, from others", () => {
    const [low, high] = [boxes[0]!, boxes[1]!];
    const at = graph.layer[high.rows[0]!]!;
    expect(isDirect(graph, low, answerOf({}))).toBe(true);
    expect(isDirect(graph, high, answerOf({}, { layers: [0, at - 1] }))).toBe(true);
    expect(isDirect(graph, high, answerOf({}, { layers: [0, at - 2] }))).toBe(false);
    expect(isDirect(graph, low, answerOf({}, { method: "open" }))).toBe(false);
    expect(isDirect(graph, low, answerOf({}, { frozen_attention: false }))).toBe(false);
  });

  it("predict activity as a share, never below nothing", () => {
    const moved = new Float64Array(graph.n);
    const { features } = boxes[0]!;
    const [a, b] = features.map((row) => graph.activation[row]!) as [number, number];
    expect(predictedActivity(graph, boxes[0]!, moved)).toBeCloseTo(1);
    moved[features[0]!] = -2 * a;
    expect(predictedActivity(graph, boxes[0]!, moved)).toBeCloseTo(b / (a + b));
    expect(predictedActivity(graph, boxes[2]!, moved)).toBeNull();
    expect([...scalesOf(boxes, { low: -1, high: 1 })]).toEqual(features.map((row) => [row, -1]));
  });

  it("predict probabilities as a softmax over the outputs of the graph, the rest kept", () => {
    const moved = new Float64Array(graph.n);
    const rows = Array.from(graph.kind.keys()).filter((row) => graph.kind[row] === LOGIT);
    const [first, second] = [
      rows.find((row) => graph.index[row] === 500)!,
      rows.find((row) => graph.index[row] === 501)!,
    ];
    [moved[first], moved[second]] = [-1, 2];
    const parts = [0.9 * Math.exp(-1), 0.05 * Math.exp(2), 0.05];
    const sum = parts.reduce((a, b) => a + b);
    const found = predictedOutputs(graph, answerOf({}), moved);
    expect(found.get(500)).toBeCloseTo(parts[0]! / sum);
    expect(found.get(501)).toBeCloseTo(parts[1]! / sum);
  });

  it("become a call in Python whatever their names hold", () => {
    const named = boxes.map((box) => (box.name === "low" ? { ...box, name: 'a"\n__import__("os")' } : box));
    const code = pythonCode(graph, named, answerOf({ 'a"\n__import__("os")': -1.5, high: 1 }));
    const lines = code.split("\n");
    expect(lines.filter((line) => line.includes("scale="))).toHaveLength(1);
    expect(lines.filter((line) => line.includes("__import__"))).toHaveLength(1);
    expect(lines.find((line) => line.includes("__import__"))).toMatch(/scale=-1\.5\), {2}# "a/);
    expect(code).toContain('method="constrained", layers=(0, 1), freeze_attention=True');
    expect(pythonCode(graph, boxes, answerOf({ low: 0 }, { method: "open" }))).not.toContain("layers=");
  });

  it("spells prompts as Python does", () => {
    const code = pythonCode({ ...graph, prompt: 'é "\n\u{1f600}' }, boxes, answerOf({ low: 0 }));
    expect(code).toContain('model.intervene("\\u00e9 \\"\\n\\U0001f600", [');
  });
});

describe("boxes above the last token", () => {
  it("stay inside the figure and apart from each other", () => {
    const last = features.filter((row) => graph.position[row] === graph.tokens.length - 1 && graph.layer[row] === 0);
    const many = readBoxes(
      graph,
      last.slice(0, 4).map((row, i) => [`box ${i}`, [idOf(graph, row)]]),
    );
    expect(many.length).toBeGreaterThan(2);
    const { places } = layoutBoxes(
      graph,
      many,
      many.map(() => 140),
      700,
      {},
      58,
    );
    const edges = places.map(({ x, width }) => [x - width / 2, x + width / 2] as const).sort((a, b) => a[0] - b[0]);
    expect(edges.at(-1)![1]).toBeLessThanOrEqual(700);
    for (const [i, [left]] of edges.slice(1).entries()) expect(left).toBeGreaterThan(edges[i]![1]);
  });
});

describe("a grid of answers", () => {
  const values = [-1, 0, 1];
  const grid = (): Grid =>
    new Grid({
      values,
      baseline: raw({}),
      single: { low: values.map((low) => raw({ low })), high: values.map((high) => raw({ high })) },
      curves: { low: { name: "low", values, tokens: ["95"], ids: [500], logits: [values], probability: [values] } },
      pairs: [["low", "high", values.map((low) => values.map((high) => raw({ low, high })))]],
    });

  it("gives what was computed, nearest to what was asked, and nothing between", () => {
    expect(grid().answer({ low: -0.9 }).strengths).toEqual({ low: -1 });
    expect(grid().answer({ low: 0.2, high: -0.7 }).strengths).toEqual({ low: 0, high: -1 });
    expect(grid().answer({ high: -1, low: 0 }).strengths).toEqual({ low: 0, high: -1 });
    expect(grid().answer({}).strengths).toEqual({});
  });

  it("lets sliders move together only as pairs", () => {
    expect(grid().allow({ low: -0.8, high: 0.1 }, "high")).toEqual({ low: -1, high: 0 });
    expect(grid().allow({ other: -1, high: 0.1 }, "high")).toEqual({ high: 0 });
  });

  it("has the curve of one slider while the others rest", () => {
    expect(grid().curve("low", { low: 0 })?.logits).toEqual([values]);
    expect(grid().curve("low", { low: 0, high: -1 })).toBeNull();
    expect(grid().curve("high", {})).toBeNull();
  });
});

describe("a session", () => {
  const open = (grid: Grid | null = null): PerturbationSession =>
    new PerturbationSession(
      graph,
      boxes,
      {
        strengths: signal({}),
        active: signal(null),
        method: signal("constrained"),
        lastLayer: signal(null),
        freezeAttention: signal(null),
        theme: signal("auto"),
        answer: signal(null),
        curve: signal(null),
        error: signal(""),
      },
      grid,
    );

  it("keeps a drag as one change, and forgets a slider that is back at 1", () => {
    const session = open();
    session.begin("low");
    for (const value of [0.9, 0.5, -0.5]) session.set("low", value);
    session.end();
    session.change("high", 0);
    expect(session.synced.strengths.value).toEqual({ low: -0.5, high: 0 });
    session.change("low", 1.02);
    expect(session.synced.strengths.value).toEqual({ high: 0 });
    expect(session.synced.active.value).toBe("low");
    session.undo();
    session.undo();
    expect(session.synced.strengths.value).toEqual({ low: -0.5 });
    session.resetAll();
    expect(session.synced.strengths.value).toEqual({});
    session.undo();
    session.undo();
    expect([session.synced.strengths.value, session.canUndo.value]).toEqual([{}, false]);
  });

  it("predicts from the strengths as they are, without an answer", () => {
    const session = open();
    session.change("low", -1);
    const scales = new Map(boxes[0]!.features.map((row) => [row, -1]));
    expect([...session.prediction.value.direct]).toEqual([...predict(graph, scales, -1).direct]);
  });
});
