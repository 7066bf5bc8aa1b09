/** Long prompts: runs of tokens with nothing to show stand together in one narrow column until somebody opens them. */

import { EMBEDDING, type Graph } from "../graph/graph";

/** Prompts up to this long, and runs shorter than this, stay as they are: reading on is easier than opening. */
const SHORT_PROMPT = 20;
const SHORT_RUN = 4;

/** Per token: 0 if it has a column of its own, n if it stands for itself and the n - 1 tokens after it, -1 for these. */
export type Folds = Int32Array;

/**
 * Fold runs of tokens that show nothing but an embedding without shown edges, except those in `open`.
 * The last token, above which the outputs stand, is never folded.
 */
export function foldTokens(graph: Graph, node: Uint8Array, edge: Uint8Array, open: ReadonlySet<number>): Folds {
  const folds = new Int32Array(graph.tokens.length);
  if (folds.length <= SHORT_PROMPT) return folds;
  const isBusy = new Uint8Array(folds.length);
  isBusy[folds.length - 1] = 1;
  for (const position of open) isBusy[position] = 1;
  for (let row = 0; row < graph.n; row++) {
    if (!node[row]) continue;
    const outputs = graph.outEdge.subarray(graph.outptr[row]!, graph.outptr[row + 1]!);
    if (graph.kind[row] !== EMBEDDING || outputs.some((output) => edge[output])) isBusy[graph.position[row]!] = 1;
  }
  let first = 0;
  for (const [position, busy] of isBusy.entries()) {
    if (!busy) continue;
    const length = position - first;
    if (length >= SHORT_RUN) folds.fill(-1, first, position)[first] = length;
    first = position + 1;
  }
  return folds;
}
