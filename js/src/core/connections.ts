/** What feeds a node and what it feeds: the strongest inputs and outputs, in one order, with weight and share. */

import { type Graph, weightOf } from "./graph";
import { strongestFirst } from "./order";

export interface Connection {
  readonly edge: number;
  /** The node at the other end. */
  readonly row: number;
  readonly weight: number;
  /** Signed part of the target's whole input. */
  readonly share: number;
}

export type Direction = "inputs" | "outputs";

/** Edges into or out of `row`, strongest share of the node they feed first. */
export function edgesOf(graph: Graph, row: number, direction: Direction): Int32Array {
  const edges =
    direction === "inputs"
      ? Int32Array.from({ length: graph.indptr[row + 1]! - graph.indptr[row]! }, (_, i) => graph.indptr[row]! + i)
      : graph.outEdge.subarray(graph.outptr[row]!, graph.outptr[row + 1]!);
  return strongestFirst(edges, graph.share);
}

/** The edge seen from `row`, one of its ends. */
export function connectionOf(graph: Graph, edge: number, row: number): Connection {
  const source = graph.source[edge]!;
  const other = source === row ? graph.target[edge]! : source;
  return { edge, row: other, weight: weightOf(graph, edge), share: graph.share[edge]! };
}

/** The edges to stroke for the nodes in focus: at most `limit`, strongest last so that they end up on top. */
export function focusEdges(graph: Graph, rows: readonly number[], visible: Uint8Array, limit: number): Connection[] {
  const ends = new Map<number, number>();
  for (const row of rows) {
    for (const direction of ["inputs", "outputs"] as const) {
      let taken = 0;
      for (const edge of edgesOf(graph, row, direction)) {
        const other = direction === "inputs" ? graph.source[edge]! : graph.target[edge]!;
        if (!visible[other]) continue;
        ends.set(edge, row);
        if (++taken === limit) break;
      }
    }
  }
  const strongest = strongestFirst(Int32Array.from(ends.keys()), graph.share).subarray(0, limit);
  return Array.from(strongest.reverse(), (edge) => connectionOf(graph, edge, ends.get(edge)!));
}

/** The strongest input or output of `row` among `visible`, or null. */
export function strongest(graph: Graph, row: number, direction: Direction, visible: Uint8Array): number | null {
  const end = direction === "inputs" ? graph.source : graph.target;
  const edge = edgesOf(graph, row, direction).find((candidate) => visible[end[candidate]!] === 1);
  return edge === undefined ? null : end[edge]!;
}
