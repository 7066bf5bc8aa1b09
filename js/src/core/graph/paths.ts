/**
 * The strongest paths between two nodes, as `ct_widgets/graph/paths.py` finds them: the share of a path is the product
 * of the shares of its edges, and the shares of all paths from a source add up to its part of the target's input.
 */

import type { Graph } from "./graph";

export interface Path {
  /** From source to target. */
  readonly rows: readonly number[];
  readonly edges: readonly number[];
  /** Negative if an odd number of its edges is. */
  readonly share: number;
}

/** A path to one node as its last edge. */
interface Step {
  readonly row: number;
  readonly edge: number;
  readonly share: number;
  readonly before: Step | null;
}

/** The `k` paths of largest share from one of two nodes to the other, and the sum of |share| over all there are. */
export function strongestPaths(graph: Graph, a: number, b: number, k: number): { paths: Path[]; total: number } {
  const [source, target] = [Math.min(a, b), Math.max(a, b)];
  const best = new Map<number, Step[]>([[source, [{ row: source, edge: -1, share: 1, before: null }]]]);
  const total = new Float64Array(graph.n);
  total[source] = 1;
  // Sources come before targets: the best paths to a node extend the best to its sources, and one pass finds them.
  for (let row = source + 1; row <= target; row++) {
    const steps: Step[] = [];
    for (let edge = graph.indptr[row]!; edge < graph.indptr[row + 1]!; edge++) {
      const part = graph.share[edge]!;
      total[row]! += Math.abs(part) * total[graph.source[edge]!]!;
      for (const before of best.get(graph.source[edge]!) ?? []) {
        const share = part * before.share;
        const place = steps.findIndex((step) => Math.abs(step.share) < Math.abs(share));
        if (share === 0 || (place < 0 && steps.length === k)) break;
        steps.splice(place < 0 ? k : place, 0, { row, edge, share, before });
        if (steps.length > k) steps.pop();
      }
    }
    if (steps.length > 0) best.set(row, steps);
  }
  return { paths: source === target ? [] : (best.get(target) ?? []).map(trace), total: total[target]! };
}

function trace(last: Step): Path {
  const rows: number[] = [];
  const edges: number[] = [];
  for (let step: Step | null = last; step; step = step.before) {
    rows.unshift(step.row);
    if (step.before) edges.unshift(step.edge);
  }
  return { rows, edges, share: last.share };
}
