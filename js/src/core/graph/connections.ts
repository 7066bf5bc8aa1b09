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

/** Edges to stroke, strongest last so that they end up on top, and how many there are without a limit. */
export interface Strokes {
  readonly edges: readonly Connection[];
  readonly total: number;
}

/** The edges between shown nodes and the one in focus: at most `limit`, each seen from the latter. */
export function focusEdges(graph: Graph, row: number | null, visible: Uint8Array, limit: number): Strokes {
  if (row === null) return { edges: [], total: 0 };
  const tied = (["inputs", "outputs"] as const).flatMap((direction) => {
    const end = direction === "inputs" ? graph.source : graph.target;
    return Array.from(edgesOf(graph, row, direction)).filter((edge) => visible[end[edge]!]);
  });
  return strokes(graph, tied, (edge) => connectionOf(graph, edge, row), limit);
}

/** The edges between `rows`: at most `limit`, each seen from its target. */
export function edgesAmong(graph: Graph, rows: readonly number[], limit: number): Strokes {
  const inside = new Set(rows);
  const among = rows.flatMap((row) =>
    Array.from(edgesOf(graph, row, "inputs")).filter((edge) => inside.has(graph.source[edge]!)),
  );
  return strokes(graph, among, (edge) => connectionOf(graph, edge, graph.target[edge]!), limit);
}

function strokes(graph: Graph, edges: number[], seen: (edge: number) => Connection, limit: number): Strokes {
  const strongest = strongestFirst(Int32Array.from(edges), graph.share).subarray(0, limit);
  return { edges: Array.from(strongest.reverse(), seen), total: edges.length };
}

/** The strongest input or output of `row` among `visible`, or null. */
export function strongest(graph: Graph, row: number, direction: Direction, visible: Uint8Array): number | null {
  const end = direction === "inputs" ? graph.source : graph.target;
  const edge = edgesOf(graph, row, direction).find((candidate) => visible[end[candidate]!] === 1);
  return edge === undefined ? null : end[edge]!;
}
