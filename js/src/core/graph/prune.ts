/**
 * Influence and pruning in the browser, the same formulas as `ct_widgets/graph/` (Ameisen et al., 2025):
 * nodes by influence on the output, then edges by influence through them, then what is left without an end.
 */

import { EMBEDDING, FEATURE, type Graph, LOGIT } from "./graph";

export interface Pruned {
  /** 1 for every node and edge that stays. */
  readonly node: Uint8Array;
  readonly edge: Uint8Array;
  /** Influence on the output through each edge, among the nodes that passed the node threshold. */
  readonly score: Float64Array;
  readonly nodeCount: number;
  readonly edgeCount: number;
}

/** Probability at the logits, 0 elsewhere: where influence starts. */
function outputWeight(graph: Graph, row: number): number {
  const probability = graph.probability[row]!;
  return graph.kind[row] === LOGIT && probability > 0 ? probability : 0;
}

/**
 * The score of the last item of the smallest set of highest scores whose sum reaches `threshold` of `total`;
 * the item that crosses the threshold is in the set.
 */
export function cutoff(scores: Float64Array, threshold: number, total = Number.NaN): number {
  const falling = scores.slice().sort().reverse();
  // Summed in this order, so that a threshold of 1 is reached at the last score above 0 and not missed by rounding.
  if (Number.isNaN(total)) total = falling.reduce((sum, score) => sum + score, 0);
  let sum = 0;
  for (const score of falling) {
    sum += score;
    if (sum >= threshold * total) return score;
  }
  return 0;
}

/** Influence of every edge: its part of its target's input among `node`, times the target's influence on the output. */
export function edgeInfluence(graph: Graph, node: Uint8Array): Float64Array {
  const score = new Float64Array(graph.e);
  const influence = new Float64Array(graph.n);
  // Sources come before targets, so one pass from the outputs down visits every target after all it feeds.
  for (let row = graph.n - 1; row >= 0; row--) {
    const flow = influence[row]! + outputWeight(graph, row);
    if (!node[row] || flow === 0) continue;
    const [from, to] = [graph.indptr[row]!, graph.indptr[row + 1]!];
    let total = 0;
    for (let edge = from; edge < to; edge++) if (node[graph.source[edge]!]) total += Math.abs(graph.share[edge]!);
    if (total === 0) continue;
    for (let edge = from; edge < to; edge++) {
      const source = graph.source[edge]!;
      if (!node[source]) continue;
      score[edge] = (Math.abs(graph.share[edge]!) / total) * flow;
      influence[source]! += score[edge]!;
    }
  }
  return score;
}

export function prune(graph: Graph, nodeThreshold: number, edgeThreshold: number): Pruned {
  const node = keepNodes(graph, nodeThreshold);
  const score = edgeInfluence(graph, node);
  const least = cutoff(score, edgeThreshold);
  const edge = new Uint8Array(graph.e);
  for (let i = 0; i < graph.e; i++) {
    edge[i] = score[i]! >= least && node[graph.source[i]!] && node[graph.target[i]!] ? 1 : 0;
  }
  dropLooseEnds(graph, node, edge);
  return { node, edge, score, nodeCount: sum(node), edgeCount: sum(edge) };
}

function keepNodes(graph: Graph, threshold: number): Uint8Array {
  // Where weaker nodes were left out of the data, their influence still counts in the total.
  const total = graph.n < graph.total.nodes ? graph.total.influence : Number.NaN;
  const least = cutoff(Float64Array.from(graph.influence), threshold, total);
  return Uint8Array.from(graph.influence, (influence, row) =>
    influence >= least || graph.kind[row] === EMBEDDING || graph.kind[row] === LOGIT ? 1 : 0,
  );
}

/** Drop features without inputs or outputs, errors without outputs, and their edges, until nothing more falls. */
function dropLooseEnds(graph: Graph, node: Uint8Array, edge: Uint8Array): void {
  const inputs = new Int32Array(graph.n);
  const outputs = new Int32Array(graph.n);
  for (let i = 0; i < graph.e; i++) {
    if (!edge[i]) continue;
    inputs[graph.target[i]!]!++;
    outputs[graph.source[i]!]!++;
  }
  const isLoose = (row: number): boolean => {
    const kind = graph.kind[row];
    if (!node[row] || kind === EMBEDDING || kind === LOGIT) return false;
    return outputs[row] === 0 || (kind === FEATURE && inputs[row] === 0);
  };
  const loose = Array.from(node.keys()).filter(isLoose);
  for (let row = loose.pop(); row !== undefined; row = loose.pop()) {
    if (!node[row]) continue;
    node[row] = 0;
    const drop = (i: number): void => {
      if (!edge[i]) return;
      edge[i] = 0;
      inputs[graph.target[i]!]!--;
      outputs[graph.source[i]!]!--;
      for (const end of [graph.source[i]!, graph.target[i]!]) if (isLoose(end)) loose.push(end);
    };
    for (let i = graph.indptr[row]!; i < graph.indptr[row + 1]!; i++) drop(i);
    for (let i = graph.outptr[row]!; i < graph.outptr[row + 1]!; i++) drop(graph.outEdge[i]!);
  }
}

function sum(mask: Uint8Array): number {
  return mask.reduce((total, value) => total + value, 0);
}
