/** Nodes of two graphs that correspond, as Python aligned them: each in one pair at most. */

import { asNodeId, type NodeId } from "./graph";

/** The node of the other graph, or null if only this one has it. */
export type Counterpart = (node: NodeId) => NodeId | null;

/** Both ways through `pairs`, a list of [node of the first graph, node of the second]; what is no pair is skipped. */
export function counterparts(pairs: unknown): readonly [toSecond: Counterpart, toFirst: Counterpart] {
  const [toSecond, toFirst] = [new Map<string, NodeId>(), new Map<string, NodeId>()];
  for (const pair of Array.isArray(pairs) ? pairs : []) {
    const [first, second] = [asNodeId(pair?.[0]), asNodeId(pair?.[1])];
    if (first === null || second === null) continue;
    toSecond.set(JSON.stringify(first), second);
    toFirst.set(JSON.stringify(second), first);
  }
  const way = (known: Map<string, NodeId>) => (node: NodeId) => known.get(JSON.stringify(node)) ?? null;
  return [way(toSecond), way(toFirst)];
}
