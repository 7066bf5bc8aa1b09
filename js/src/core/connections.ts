/** What feeds a node and what it feeds: the strongest inputs and outputs, in one order, with weight and share. */

import { type Graph, weightOf } from "./graph";

export interface Connection {
  readonly edge: number;
  /** The node at the other end. */
  readonly row: number;
  readonly weight: number;
  /** Signed part of the target's whole input. */
  readonly share: number;
}

export type Direction = "inputs" | "outputs";

/** Connections of `row`, strongest first: inputs by weight, outputs by their share of the node they feed. */
export function connections(graph: Graph, row: number, direction: Direction): Connection[] {
  const list: Connection[] = [];
  const add = (edge: number, other: number): void => {
    list.push({ edge, row: other, weight: weightOf(graph, edge), share: graph.share[edge]! });
  };
  if (direction === "inputs") {
    for (let edge = graph.indptr[row]!; edge < graph.indptr[row + 1]!; edge++) add(edge, graph.source[edge]!);
  } else {
    for (let i = graph.outptr[row]!; i < graph.outptr[row + 1]!; i++) {
      const edge = graph.outEdge[i]!;
      add(edge, graph.target[edge]!);
    }
  }
  return list.sort((a, b) => Math.abs(b.share) - Math.abs(a.share));
}

/** The edges to stroke for the nodes in focus: at most `limit`, strongest last so that they end up on top. */
export function focusEdges(graph: Graph, rows: readonly number[], visible: Uint8Array, limit: number): Connection[] {
  const seen = new Map<number, Connection>();
  for (const row of rows) {
    for (const direction of ["inputs", "outputs"] as const) {
      for (const item of connections(graph, row, direction)) if (visible[item.row]) seen.set(item.edge, item);
    }
  }
  return [...seen.values()]
    .sort((a, b) => Math.abs(b.share) - Math.abs(a.share))
    .slice(0, limit)
    .reverse();
}

/** The strongest input or output of `row` among `visible`, or null. */
export function strongest(graph: Graph, row: number, direction: Direction, visible: Uint8Array): number | null {
  return connections(graph, row, direction).find((item) => visible[item.row])?.row ?? null;
}
