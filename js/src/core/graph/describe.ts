/** What a node is called, in the plot, in lists and aloud. */

import { formatNumber, formatUnit, visibleToken } from "../format";
import { EMBEDDING, ERROR, featureName, type Graph, idOf, KINDS, LOGIT } from "./graph";

/** Labels by node (`JSON.stringify(id)`) or by feature ("L2/517"); the node's own label wins. */
export type Labels = Readonly<Record<string, string>>;

export function labelOf(graph: Graph, row: number, labels: Labels): string {
  const own = labels[JSON.stringify(idOf(graph, row))];
  const name = featureName(graph, row);
  return own ?? (name === null ? undefined : labels[name]) ?? "";
}

/** "L2/517", "36", "error L2", "95": the node without its place. */
export function nodeName(graph: Graph, row: number): string {
  switch (graph.kind[row]) {
    case EMBEDDING:
    case LOGIT:
      return `“${visibleToken(tokenOf(graph, row), 24)}”`;
    case ERROR:
      return `error L${graph.layer[row]}`;
    default:
      return featureName(graph, row) ?? `${KINDS[graph.kind[row]!]} L${graph.layer[row]}/${graph.index[row]}`;
  }
}

export function tokenOf(graph: Graph, row: number): string {
  return graph.token[row] || (graph.kind[row] === LOGIT ? `#${graph.index[row]}` : graph.tokens[graph.position[row]!]!);
}

/** The prompt token that a node stands above. */
export function placeName(graph: Graph, row: number): string {
  return visibleToken(graph.tokens[graph.position[row]!]!, 24);
}

/** What tells a node from others of its name: the token that it stands above, or what it is. */
export function whereOf(graph: Graph, row: number): string {
  if (graph.kind[row] === LOGIT) return "output";
  return graph.kind[row] === EMBEDDING ? `token ${graph.position[row]! + 1}` : placeName(graph, row);
}

/** Kind and name, then label, place and numbers: said by screen readers, shown beside the pointer. */
export function speak(graph: Graph, row: number, labels: Labels): [name: string, ...facts: string[]] {
  const kind = KINDS[graph.kind[row]!]!;
  const label = labelOf(graph, row, labels);
  const parts: [string, ...string[]] = [kind === "error" ? nodeName(graph, row) : `${kind} ${nodeName(graph, row)}`];
  if (label) parts.push(label);
  if (kind === "logit" && graph.probability[row]! >= 0)
    parts.push(`probability ${formatUnit(graph.probability[row]!)}`);
  else parts.push(`at token ${graph.position[row]! + 1}, ${placeName(graph, row)}`);
  if (!Number.isNaN(graph.activation[row]!)) parts.push(`activation ${formatNumber(graph.activation[row]!)}`);
  if (kind !== "logit") parts.push(`influence ${formatNumber(graph.influence[row]!, 2)}`);
  return parts;
}
