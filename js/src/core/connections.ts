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

const sorted = new WeakMap<Graph, Map<number, Int32Array>>();

/** Edges into or out of `row`, strongest share of the node they feed first; kept, since hovering asks again and again. */
export function edgesOf(graph: Graph, row: number, direction: Direction): Int32Array {
  const known = sorted.get(graph) ?? new Map<number, Int32Array>();
  sorted.set(graph, known);
  const key = direction === "inputs" ? row : -1 - row;
  let edges = known.get(key);
  if (!edges) {
    edges = strongestFirst(unsortedEdges(graph, row, direction), graph.share);
    known.set(key, edges);
  }
  return edges;
}

function unsortedEdges(graph: Graph, row: number, direction: Direction): Int32Array {
  if (direction === "outputs") return graph.outEdge.subarray(graph.outptr[row]!, graph.outptr[row + 1]!);
  const first = graph.indptr[row]!;
  const edges = new Int32Array(graph.indptr[row + 1]! - first);
  for (let i = 0; i < edges.length; i++) edges[i] = first + i;
  return edges;
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

/** The edges between `rows`, weak ones first. */
export function edgesAmong(graph: Graph, rows: readonly number[]): Connection[] {
  const inside = new Set(rows);
  return rows.flatMap((row) =>
    Array.from(edgesOf(graph, row, "inputs"))
      .filter((edge) => inside.has(graph.source[edge]!))
      .map((edge) => connectionOf(graph, edge, row))
      .reverse(),
  );
}

/** The strongest input or output of `row` among `visible`, or null. */
export function strongest(graph: Graph, row: number, direction: Direction, visible: Uint8Array): number | null {
  const end = direction === "inputs" ? graph.source : graph.target;
  const edge = edgesOf(graph, row, direction).find((candidate) => visible[end[candidate]!] === 1);
  return edge === undefined ? null : end[edge]!;
}
