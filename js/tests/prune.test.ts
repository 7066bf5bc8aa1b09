import { describe, expect, it } from "vitest";
import { EMBEDDING, LOGIT } from "../src/core/graph/graph";
import { cutoff, edgeInfluence, prune } from "../src/core/graph/prune";
import { pruningCases, SMALL, sampleGraph } from "./sample";

describe("prune", () => {
  it.each(pruningCases().map((item) => [`graph ${item.graph.n} at ${item.node}, ${item.edge}`, item] as const))(
    "keeps what the plain implementation in Python keeps: %s",
    (_, { graph, node, edge, nodes, edges }) => {
      const pruned = prune(graph, node, edge);
      const rows = [...pruned.node.keys()].filter((row) => pruned.node[row]);
      const pairs = [...pruned.edge.keys()]
        .filter((i) => pruned.edge[i])
        .map((i) => [graph.target[i], graph.source[i]]);
      expect(rows).toEqual(nodes);
      expect(pairs).toEqual(edges);
      expect([pruned.nodeCount, pruned.edgeCount]).toEqual([nodes.length, edges.length]);
    },
  );

  it("flows as much influence into a node as Python's formula gives it", () => {
    const { graph, influence } = pruningCases()[0]!;
    const score = edgeInfluence(graph, new Uint8Array(graph.n).fill(1));
    const into = new Float64Array(graph.n);
    for (let edge = 0; edge < graph.e; edge++) into[graph.source[edge]!]! += score[edge]!;
    for (let row = 0; row < graph.n; row++) expect(into[row]).toBeCloseTo(influence[row]!, 6);
  });

  it("drops chains that end nowhere, and keeps what is protected", () => {
    // 2 feeds only 3, and 3 feeds nothing: both go. The embedding 1 stays though it feeds nothing then.
    const graph = sampleGraph({
      nodes: [
        { kind: EMBEDDING, layer: -1, position: 0, influence: 1 },
        { kind: EMBEDDING, layer: -1, position: 1, influence: 1 },
        { kind: 1, layer: 0, position: 1, influence: 1 },
        { kind: 1, layer: 1, position: 1, influence: 1 },
        { kind: LOGIT, layer: 2, position: 1, probability: 1 },
      ],
      edges: [
        [2, 1, 1],
        [3, 2, 1],
        [4, 0, 1],
      ],
    });
    expect([...prune(graph, 1, 1).node]).toEqual([1, 1, 0, 0, 1]);
  });

  it("survives logits without probability and rows without input", () => {
    const nodes = SMALL.nodes.map(({ probability, ...node }) => (probability ? node : { ...node }));
    const pruned = prune(sampleGraph({ ...SMALL, nodes }), 0.8, 0.98);
    expect(pruned.node[0]).toBe(1);
    expect(prune(sampleGraph({ nodes: [], edges: [] }), 0.8, 0.98).nodeCount).toBe(0);
  });

  it("counts the influence of nodes that were not sent", () => {
    const graph = sampleGraph(SMALL);
    const cut = { ...graph, total: { nodes: 20, edges: 99, influence: 23 } };
    expect(prune(graph, 0.5, 1).nodeCount).toBeLessThan(prune(cut, 0.5, 1).nodeCount);
  });
});

describe("cutoff", () => {
  const scores = Float64Array.of(0.1, 0.4, 0, 0.3, 0.2);
  it.each([
    [0, 0.4],
    [0.4, 0.4],
    [0.41, 0.3],
    [0.9, 0.2],
    [1, 0.1],
  ])("at %f is %f: the item that crosses the threshold is in", (threshold, least) => {
    expect(cutoff(scores, threshold)).toBe(least);
  });
});
