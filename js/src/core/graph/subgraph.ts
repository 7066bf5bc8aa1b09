/**
 * The subgraph that a person pinned, the same formulas as `ct_widgets/graph/subgraph.py` (Ameisen et al., 2025): boxes,
 * the edges between them, and how much of the output they explain when all else counts as error.
 */

import type { Labels } from "./describe";
import { labelOf } from "./describe";
import { EMBEDDING, ERROR, type Graph, idOf, LOGIT, type NodeId, rowsOf, type Scores } from "./graph";

/** A named group as it travels: `[name, members]`. */
export type Supernode = readonly [name: string, members: readonly NodeId[]];

/** A supernode, or a pinned node that is in none. */
export interface Box {
  /** `JSON.stringify` of the first member's id: stays when the box is renamed or the group dissolved. */
  readonly key: string;
  /** Rows of the members that the data hold, the most influential first. */
  readonly rows: readonly number[];
  /** Place in the list of supernodes; null for a single node. */
  readonly group: number | null;
  /** Name of the group, or label of the node; may be "". */
  readonly name: string;
}

export interface BoxEdge {
  readonly source: number;
  readonly target: number;
  /** Share of the target box's outside-weighted input, 0 to 1. */
  readonly weight: number;
  /** The same with the signs of the edges kept, so that opposite ones cancel. */
  readonly signed: number;
}

export function boxesOf(
  graph: Graph,
  pinned: readonly NodeId[],
  supernodes: readonly Supernode[],
  labels: Labels,
): Box[] {
  const groups = supernodes.map(([name, members], group): Box => {
    const rows = rowsOf(graph, members).sort((a, b) => graph.influence[b]! - graph.influence[a]!);
    return { key: JSON.stringify(members[0]), rows, group, name };
  });
  const grouped = new Set(groups.flatMap(({ rows }) => rows));
  const single = rowsOf(graph, pinned)
    .filter((row) => !grouped.has(row))
    .map(
      (row): Box => ({
        key: JSON.stringify(idOf(graph, row)),
        rows: [row],
        group: null,
        name: labelOf(graph, row, labels),
      }),
    );
  return [...groups.filter(({ rows }) => rows.length > 0), ...single];
}

/** A_{S->T} = sum_{t in T} f_t sum_{s in S} Ahat[t, s] / sum_{t in T} f_t, f_t the share of t's input from outside T. */
export function boxEdges(graph: Graph, boxes: readonly Box[]): BoxEdge[] {
  const homes = new Map<number, number[]>();
  boxes.forEach(({ rows }, box) => {
    for (const row of rows) homes.set(row, [...(homes.get(row) ?? []), box]);
  });
  const edges: BoxEdge[] = [];
  boxes.forEach(({ rows }, target) => {
    const weight = new Float64Array(boxes.length);
    const signed = new Float64Array(boxes.length);
    let outside = 0;
    for (const row of rows) {
      if (!(graph.rowTotal[row]! > 0)) continue;
      const from = fromOutside(graph, row, new Set(rows));
      outside += from;
      for (let edge = graph.indptr[row]!; edge < graph.indptr[row + 1]!; edge++) {
        for (const source of homes.get(graph.source[edge]!) ?? []) {
          weight[source]! += from * Math.abs(graph.share[edge]!);
          signed[source]! += from * graph.share[edge]!;
        }
      }
    }
    for (let source = 0; source < boxes.length; source++) {
      if (source !== target && weight[source]! > 0 && outside > 0)
        edges.push({ source, target, weight: weight[source]! / outside, signed: signed[source]! / outside });
    }
  });
  return edges.sort((a, b) => b.weight - a.weight);
}

function fromOutside(graph: Graph, row: number, box: ReadonlySet<number>): number {
  let inside = 0;
  for (let edge = graph.indptr[row]!; edge < graph.indptr[row + 1]!; edge++)
    if (box.has(graph.source[edge]!)) inside += Math.abs(graph.share[edge]!);
  return Math.max(0, 1 - inside);
}

/** Scores if all but `rows`, the embeddings and the logits counted as error. */
export function subgraphScores(graph: Graph, rows: Iterable<number>): Scores {
  const keep = Uint8Array.from(graph.kind, (kind) => (kind === EMBEDDING || kind === LOGIT ? 1 : 0));
  for (const row of rows) keep[row] = 1;
  const influence = new Float64Array(graph.n);
  let [embeddings, errors, ofTargets, all] = [0, 0, 0, 0];
  // Sources come before targets, so one pass down from the logits visits every node after all it feeds.
  for (let row = graph.n - 1; row >= 0; row--) {
    if (!keep[row]) continue;
    const probability = graph.kind[row] === LOGIT ? graph.probability[row]! || 0 : 0;
    const output = influence[row]! + probability;
    all += influence[row]!;
    if (graph.kind[row] === EMBEDDING) embeddings += influence[row]!;
    if (graph.kind[row] === ERROR) errors += influence[row]!;
    if (graph.rowTotal[row]! > 0) ofTargets += output;
    for (let edge = graph.indptr[row]!; edge < graph.indptr[row + 1]!; edge++) {
      const source = graph.source[edge]!;
      if (keep[source]) influence[source]! += Math.abs(graph.share[edge]!) * output;
    }
  }
  // What targets pass on less than they have came from nodes that are not pinned.
  errors += Math.max(0, ofTargets - all);
  return {
    replacement: embeddings + errors > 0 ? embeddings / (embeddings + errors) : 0,
    completeness: ofTargets > 0 ? 1 - errors / ofTargets : 0,
  };
}
