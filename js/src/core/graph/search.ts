/** Nodes by a few words: every word must fit the node's layer, kind, name, token, label or influence. */

import { type Labels, labelOf, tokenOf } from "./describe";
import { featureName, type Graph, KINDS, strengthOf } from "./graph";

/** Shortest beginning of a kind's name that means the kind. */
const SHORTEST_KIND = 3;

/**
 * Rows that fit `query`, most influential first: "L2" is a layer, "emb", "feature", "error", "logit" are kinds, ">0.01"
 * is a least influence (or probability), and all else is part of a token, a label or a name such as L2/517.
 */
export function search(graph: Graph, labels: Labels, query: string): number[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return [];
  const fits = (row: number): boolean => {
    const kind = KINDS[graph.kind[row]!]!;
    const text = [tokenOf(graph, row), labelOf(graph, row, labels), featureName(graph, row) ?? ""]
      .join("\n")
      .toLowerCase();
    return words.every((word) => {
      const layer = /^l(\d+)$/.exec(word);
      if (layer && Number(layer[1]) === graph.layer[row]) return true;
      const least = /^>(\d*\.?\d+)$/.exec(word);
      if (least) return strengthOf(graph, row) >= Number(least[1]);
      if (word.length >= SHORTEST_KIND && kind.startsWith(word)) return true;
      return text.includes(word) && !(layer && featureName(graph, row)?.toLowerCase().startsWith(word));
    });
  };
  return Array.from(graph.kind.keys())
    .filter(fits)
    .sort((a, b) => strengthOf(graph, b) - strengthOf(graph, a));
}
