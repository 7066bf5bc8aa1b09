import { describe, expect, it } from "vitest";
import type { Graph } from "../src/core/graph/graph";
import { foldTokens } from "../src/core/plot/folding";
import { type Layout, type LayoutOptions, layoutGraph } from "../src/core/plot/layout";
import { pick, walk } from "../src/core/plot/picking";
import { fitBox, panBy, resize, WHOLE, zoomAt } from "../src/core/plot/viewport";
import { type SampleNode, SMALL, sampleGraph } from "./sample";

const graph = sampleGraph(SMALL);
const options = {
  width: 600,
  height: 400,
  tokenWidth: () => 30,
  labelWidth: () => 40,
  open: new Set<number>(),
};
const everything = (of: Graph): Uint8Array => new Uint8Array(of.n).fill(1);
const lay = (of: Graph, visible: Uint8Array, more: Partial<LayoutOptions> = {}): Layout =>
  layoutGraph(of, visible, { ...options, folds: new Int32Array(of.tokens.length), ...more });
const layout = lay(graph, everything(graph));

/** A graph of `counts[layer][position]` features. */
function crowd(counts: number[][], nLogits = 1): Graph {
  const tokens = counts[0]!.map((_, position) => `t${position}`);
  const nodes: SampleNode[] = tokens.map((_, position) => ({ kind: 0, layer: -1, position }));
  counts.forEach((row, layer) => {
    row.forEach((count, position) => {
      for (let i = 0; i < count; i++) nodes.push({ kind: 1, layer, position, influence: 1 / (i + 1) });
    });
  });
  for (let i = 0; i < nLogits; i++) {
    nodes.push({ kind: 3, layer: counts.length, position: tokens.length - 1, probability: 0.5 ** (i + 1) });
  }
  return sampleGraph({ nodes, edges: [], tokens, nLayers: counts.length });
}

function smallestDistance(of: Layout): number {
  let least = Number.POSITIVE_INFINITY;
  const shown = [...of.order];
  for (const [i, a] of shown.entries()) {
    for (const b of shown.slice(i + 1)) least = Math.min(least, Math.hypot(of.x[a]! - of.x[b]!, of.y[a]! - of.y[b]!));
  }
  return least;
}

describe("layoutGraph", () => {
  it("puts embeddings at the bottom, logits on top, tokens from left to right, strong nodes first", () => {
    expect(layout.y[0]).toBeGreaterThan(layout.y[2]!);
    expect(layout.y[2]).toBeGreaterThan(layout.y[6]!);
    expect(layout.y[6]).toBeGreaterThan(layout.y[7]!);
    expect(layout.y[3]).toBe(layout.y[5]);
    expect(layout.x[2]).toBeLessThan(layout.x[3]!);
    // Cell of layer 0, token 1 by influence: 4 (.25), 3 (.2), 5 (.05).
    expect(layout.x[4]).toBeLessThan(layout.x[3]!);
    expect(layout.x[3]).toBeLessThan(layout.x[5]!);
    expect(layout.x[7]).toBeLessThan(layout.x[8]!);
    expect([...layout.order].slice(0, 2)).toEqual([7, 8]);
  });

  it.each([
    ["few nodes", crowd([[1, 2]]), 600, 400],
    [
      "full cells",
      crowd([
        [30, 45, 20],
        [0, 60, 3],
        [5, 5, 90],
      ]),
      500,
      400,
    ],
    ["many tokens", crowd([new Array(60).fill(4), new Array(60).fill(1)]), 500, 300],
    ["many layers", crowd(Array.from({ length: 40 }, () => [3, 8])), 500, 540],
    ["many logits", crowd([[1, 1]], 60), 400, 300],
    ["many tokens and logits", crowd([new Array(24).fill(9), new Array(24).fill(5)], 10), 515, 600],
  ])("keeps %s inside the plot and apart from each other", (_, of, width, height) => {
    const made = lay(of, everything(of), { width, height });
    for (const row of made.order) {
      expect(made.x[row]).toBeGreaterThanOrEqual(0);
      expect(made.x[row]).toBeLessThanOrEqual(width);
      expect(made.y[row]).toBeGreaterThan(0);
      expect(made.y[row]).toBeLessThan(height);
    }
    expect(made.order).toHaveLength(of.n);
    expect(smallestDistance(made)).toBeGreaterThan(1.9 * made.radius * 0.8);
    const right = made.columns.at(-1)!;
    expect(right.left + right.width).toBeCloseTo(width, 3);
  });

  it("keeps nodes of a cell in their column and row", () => {
    const of = crowd([
      [30, 45, 20],
      [0, 60, 3],
      [5, 5, 90],
    ]);
    const made = lay(of, everything(of));
    for (const row of made.order) {
      if (of.kind[row] === 3) continue;
      const { left, width } = made.columns[of.position[row]!]!;
      expect(made.x[row]! - left).toBeGreaterThanOrEqual(0);
      expect(left + width - made.x[row]!).toBeGreaterThanOrEqual(0);
      const band = made.rows.find(({ from }) => from === of.layer[row])!;
      expect(Math.abs(made.y[row]! - band.y)).toBeLessThan(band.height / 2);
    }
  });

  it("gives a run of empty layers one thin row", () => {
    const of = crowd([[1], [0], [0], [0], [1]]);
    const made = lay(of, everything(of));
    const [logits, , empty] = made.rows;
    expect(empty).toMatchObject({ from: 1, to: 3, isEmpty: true });
    expect(empty!.height).toBeCloseTo(logits!.height / 2);
    expect(made.rows).toHaveLength(5);
  });

  it("leaves out what is not visible", () => {
    const visible = everything(graph);
    visible[6] = 0;
    const made = lay(graph, visible);
    expect(made.x[6]).toBeNaN();
    expect([...made.order]).not.toContain(6);
  });

  it("writes beside few logits and above many, never over each other", () => {
    expect(layout.labelSide).toBe("beside");
    expect(layout.x[8]! - layout.x[7]!).toBeGreaterThanOrEqual(40);
    const of = crowd([[1, 1]], 30);
    const many = lay(of, everything(of), { width: 300 });
    expect(many.labelSide).toBe("above");
    const places = [...many.labelled].map((row) => many.x[row]!).sort((a, b) => a - b);
    for (const [i, x] of places.slice(1).entries()) expect(x - places[i]!).toBeGreaterThanOrEqual(15);
    expect(many.y[many.order[0]!]).toBeGreaterThan(30);
  });

  it("has a place for every node even where there is no room", () => {
    const of = crowd([new Array(90).fill(9), new Array(90).fill(5)], 40);
    const made = lay(of, everything(of), { width: 200, height: 120 });
    for (const row of made.order) {
      expect(made.x[row]).toBeGreaterThanOrEqual(0);
      expect(made.x[row]).toBeLessThanOrEqual(200.01);
      expect(made.y[row]).toBeLessThan(120);
    }
  });

  it("survives a prompt without nodes", () => {
    const none = sampleGraph({ nodes: [], edges: [] });
    expect(lay(none, new Uint8Array(0)).order).toHaveLength(0);
  });
});

describe("pick and walk", () => {
  it("finds the nearest node in reach", () => {
    expect(pick(layout, layout.x[6]! + 3, layout.y[6]! - 3, 12)).toBe(6);
    expect(pick(layout, layout.x[6]! + 30, layout.y[6]! - 30, 12)).toBeNull();
  });

  it("walks along a row and between rows", () => {
    expect(walk(layout, null, "up")).toBe(7);
    expect(walk(layout, 7, "right")).toBe(8);
    expect(walk(layout, 8, "right")).toBe(8);
    expect(walk(layout, 7, "up")).toBe(7);
    expect(walk(layout, 7, "down")).toBe(6);
    expect(walk(layout, 4, "left")).toBe(2);
    expect(walk(layout, 2, "down")).toBe(0);
    expect(walk(layout, 0, "down")).toBe(0);
  });
});

describe("viewport", () => {
  it("zooms around the pointer and shows no more than the whole", () => {
    const near = zoomAt(WHOLE, 2, 150, 100, 600, 400);
    expect(150 * near.scale + near.x).toBeCloseTo(300 - 150);
    expect(zoomAt(near, 0.1, 0, 0, 600, 400)).toEqual(WHOLE);
    expect(panBy(near, 999, 999, 600, 400)).toEqual({ scale: 2, x: 0, y: 0 });
    expect(panBy(near, -9999, -9999, 600, 400)).toEqual({ scale: 2, x: -600, y: -400 });
    expect(resize(near, 600, 400, 300, 400)).toEqual({ scale: 2, x: near.x / 2, y: near.y });
    expect(zoomAt(WHOLE, 1e9, 0, 0, 600, 400).scale).toBeLessThan(100);
  });
});

describe("foldTokens", () => {
  const tokens = Array.from({ length: 30 }, (_, position) => `t${position}`);
  // Embeddings 0 to 29, features at tokens 12 and 29, a logit; the embedding of token 6 feeds the feature at 12.
  const nodes: SampleNode[] = tokens.map((_, position) => ({ kind: 0, layer: -1, position }));
  nodes.push({ kind: 1, layer: 0, position: 12, influence: 1 }, { kind: 1, layer: 2, position: 29, influence: 1 });
  nodes.push({ kind: 3, layer: 5, position: 29, probability: 1 });
  const edges: [number, number, number][] = [
    [30, 6, 1],
    [31, 30, 1],
    [32, 31, 1],
  ];
  const long = sampleGraph({ nodes, edges, tokens, nLayers: 5 });
  const [node, edge] = [everything(long), new Uint8Array(3).fill(1)];
  const folds = foldTokens(long, node, edge, new Set());

  it("folds runs of tokens with nothing to show, not the others, and not the last", () => {
    const starts = [...folds.entries()].filter(([, size]) => size > 0);
    expect(starts).toEqual([
      [0, 6],
      [7, 5],
      [13, 16],
    ]);
    expect([...folds].filter((size) => size < 0)).toHaveLength(5 + 4 + 15);
    expect([6, 12, 29].map((position) => folds[position])).toEqual([0, 0, 0]);
    expect(foldTokens(long, node, new Uint8Array(3), new Set())[0]).toBe(12);
  });

  it("leaves open what was opened, short runs and short prompts", () => {
    const opened = foldTokens(long, node, edge, new Set([9, 20]));
    expect([...opened.subarray(7, 12)]).toEqual([0, 0, 0, 0, 0]);
    expect([opened[13], opened[21]]).toEqual([7, 8]);
    expect(new Set(foldTokens(graph, everything(graph), new Uint8Array(graph.e), new Set()))).toEqual(new Set([0]));
  });

  it("gives a run one column, and an opened layer a row", () => {
    const shown = node.map((_, row) => (folds[long.position[row]!] ? 0 : 1));
    const made = lay(long, shown, { folds });
    expect(made.columns.filter(({ width }) => width > 0)).toHaveLength(6);
    expect(made.columns[1]!.width).toBe(0);
    expect(made.x[6]).toBeGreaterThan(made.columns[6]!.left);
    expect(made.columns.reduce((sum, { width }) => sum + width, 0)).toBeCloseTo(600, 3);
    expect(made.rows.map(({ from, to }) => `${from} ${to}`)).toEqual(["5 5", "3 4", "2 2", "1 1", "0 0", "-1 -1"]);
    const opened = lay(long, shown, { folds, open: new Set([-2 - 3]) }).rows;
    expect(opened.map(({ from, isEmpty }) => `${from} ${isEmpty}`).slice(1, 3)).toEqual(["4 true", "3 false"]);
  });
});

describe("fitBox", () => {
  it("brings a box into the middle, as large as it may be, and never shows less than a full plot", () => {
    const view = fitBox([300, 100, 352, 152], 600, 400);
    expect(view.scale).toBe(4);
    expect([326 * view.scale + view.x, 126 * view.scale + view.y]).toEqual([300, 200]);
    expect(fitBox([0, 0, 600, 400], 600, 400)).toEqual({ scale: 1, x: 0, y: 0 });
    expect(fitBox([0, 0, 0, 0], 600, 400)).toEqual({ scale: 6, x: 0, y: 0 });
  });
});
