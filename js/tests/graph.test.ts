import { describe, expect, it } from "vitest";
import { ColumnsError, decodeColumns } from "../src/core/columns";
import { connectionOf, edgesAmong, edgesOf, focusEdges, strongest } from "../src/core/graph/connections";
import { labelOf, nodeName, speak } from "../src/core/graph/describe";
import { asNodeId, idOf, readGraph, rowOf, weightOf } from "../src/core/graph/graph";
import { encodeColumns, SMALL, sampleColumns, sampleGraph } from "./sample";

const graph = sampleGraph(SMALL);
const all = new Uint8Array(graph.n).fill(1);

describe("readGraph", () => {
  it("indexes rows, targets and outputs", () => {
    expect([...graph.target]).toEqual(SMALL.edges.map(([target]) => target));
    for (let row = 0; row < graph.n; row++) {
      const outputs = graph.outEdge.subarray(graph.outptr[row]!, graph.outptr[row + 1]!);
      expect([...outputs].every((edge) => graph.source[edge] === row)).toBe(true);
      expect(rowOf(graph, idOf(graph, row))).toBe(row);
    }
    expect(graph.outptr[graph.n]).toBe(graph.e);
    expect(weightOf(graph, 2)).toBe(-1);
    expect(rowOf(graph, ["feature", 9, 9, 9])).toBeNull();
  });

  const broken: [string, (columns: ReturnType<typeof sampleColumns>) => void][] = [
    ["a missing column", ({ arrays }) => delete arrays["influence"]],
    ["a short column", ({ arrays }) => Object.assign(arrays, { layer: Int16Array.of(0) })],
    ["a row that ends before it starts", ({ arrays }) => (arrays["indptr"] as Int32Array).set([5, 1], 3)],
    ["rows that do not cover the edges", ({ arrays }) => (arrays["indptr"] as Int32Array).set([3], 9)],
    ["a source after its target", ({ arrays }) => (arrays["source"] as Uint16Array).set([7], 0)],
    ["a source that is no node", ({ arrays }) => (arrays["source"] as Uint16Array).set([60_000], 0)],
    ["a position beyond the tokens", ({ arrays }) => (arrays["position"] as Int32Array).set([2], 0)],
    ["a negative position", ({ arrays }) => (arrays["position"] as Int32Array).set([-1], 0)],
    ["a layer beyond the model", ({ arrays }) => (arrays["layer"] as Int16Array).set([3], 0)],
    ["an unknown kind", ({ arrays }) => (arrays["kind"] as Uint8Array).set([5], 0)],
    ["tokens that are not text", ({ metadata }) => Object.assign(metadata, { tokens: [1, 2] })],
    ["no prompt", ({ metadata }) => delete metadata["prompt"]],
    ["layers that are no count", ({ metadata }) => Object.assign(metadata, { n_layers: 1.5 })],
    ["no tokens of nodes", ({ metadata }) => delete metadata["node_token"]],
  ];
  it.each(broken)("refuses %s", (_, spoil) => {
    const columns = sampleColumns(SMALL);
    spoil(columns);
    expect(() => readGraph(decodeColumns(encodeColumns(columns.arrays, columns.metadata)))).toThrow(ColumnsError);
  });

  it("reads a graph without edges, and one without nodes", () => {
    expect(sampleGraph({ ...SMALL, edges: [] }).e).toBe(0);
    expect(sampleGraph({ nodes: [], edges: [] }).n).toBe(0);
  });
});

describe("asNodeId", () => {
  it.each([
    [null],
    ["feature"],
    [["feature", 1, 2]],
    [["feature", 1, 2, "3"]],
    [[1, 2, 3, 4]],
    [["feature", 1, 2, 0.5]],
  ])("is null for %j", (value) => expect(asNodeId(value)).toBeNull());
});

describe("connections", () => {
  it("lists inputs and outputs by share, with signed weights", () => {
    const inputs = Array.from(edgesOf(graph, 6, "inputs"), (edge) => connectionOf(graph, edge, 6));
    expect(inputs.map(({ row }) => row)).toEqual([2, 4, 5, 3]);
    expect(inputs.at(-1)!.weight).toBeCloseTo(-0.2);
    const outputs = Array.from(edgesOf(graph, 6, "outputs"), (edge) => connectionOf(graph, edge, 6));
    expect(outputs.map(({ row }) => row)).toEqual([8, 7]);
    expect(edgesOf(graph, 0, "inputs")).toHaveLength(0);
  });

  it("strokes the strongest edges of the focus between shown nodes, strongest last", () => {
    expect(focusEdges(graph, 6, all, 3).edges.map(({ row }) => row)).toEqual([2, 7, 8]);
    const hidden = all.slice();
    hidden[8] = 0;
    expect(focusEdges(graph, 6, hidden, 99).edges.map(({ row }) => row)).toEqual([3, 5, 4, 2, 7]);
    expect([all, hidden].map((shown) => focusEdges(graph, 6, shown, 3).total)).toEqual([6, 5]);
    expect(focusEdges(graph, null, all, 99)).toEqual({ edges: [], total: 0 });
  });

  it("finds the edges between pinned nodes", () => {
    expect(edgesAmong(graph, [6, 7, 2], 99).edges.map(({ edge }) => [graph.source[edge], graph.target[edge]])).toEqual([
      [2, 6],
      [6, 7],
    ]);
    // Of more than the limit those with the largest shares stay, whoever they belong to.
    const { edges, total } = edgesAmong(graph, [6, 7, 2], 1);
    expect([edges.map(({ row }) => row), total]).toEqual([[6], 2]);
    expect(edgesAmong(graph, [6], 99)).toEqual({ edges: [], total: 0 });
  });

  it("finds the strongest shown neighbour", () => {
    expect(strongest(graph, 6, "inputs", all)).toBe(2);
    expect(strongest(graph, 6, "outputs", all)).toBe(8);
    expect(strongest(graph, 8, "outputs", all)).toBeNull();
    const hidden = all.slice();
    hidden[2] = 0;
    expect(strongest(graph, 6, "inputs", hidden)).toBe(4);
  });
});

describe("names", () => {
  it("name nodes by kind, and labels by node before feature", () => {
    expect([0, 2, 5, 7].map((row) => nodeName(graph, row))).toEqual(["“a”", "L0/11", "error L0", "“x”"]);
    const labels = { "L0/11": "everywhere", '["feature",0,1,11]': "here" };
    expect(labelOf(graph, 2, labels)).toBe("everywhere");
    expect(labelOf(graph, 3, labels)).toBe("here");
    expect(labelOf(graph, 4, labels)).toBe("");
    expect(speak(graph, 3, labels).join(", ")).toBe("feature L0/11, here, at token 2, b, influence 0.20");
    expect(speak(graph, 7, {}).join(", ")).toBe("logit “x”, probability .90");
  });
});
