/**
 * An attribution graph as the browser holds it: what `ct_widgets/widgets/payload.py` packed, checked and indexed.
 *
 * Axes: n nodes in topological order, e edges. Rows are targets, so a node's inputs are one run of `source`.
 * The data may be cut to the strongest nodes and edges; `total` says how many there were.
 */

import type { Column, Columns } from "../columns";
import { check } from "../columns";

export const EMBEDDING = 0;
export const FEATURE = 1;
export const ERROR = 2;
export const LOGIT = 3;
export const KINDS = ["embedding", "feature", "error", "logit", "other"] as const;
export type Kind = (typeof KINDS)[number];

/** A node's name as it travels: `[kind, layer, position, index]`. */
export type NodeId = readonly [kind: string, layer: number, position: number, index: number];

export interface Scores {
  readonly replacement: number;
  readonly completeness: number;
}

export interface Graph {
  readonly n: number;
  readonly e: number;
  readonly prompt: string;
  readonly tokens: readonly string[];
  readonly nLayers: number;
  readonly kind: Uint8Array;
  readonly layer: Int16Array;
  readonly position: Int32Array;
  readonly index: Float64Array;
  readonly activation: Float32Array;
  readonly probability: Float32Array;
  readonly influence: Float32Array;
  /** Sum of |weight| over the full row, edges that were cut included. */
  readonly rowTotal: Float32Array;
  /** Share of the full row that comes from error nodes. */
  readonly errorShare: Float32Array;
  /** Inputs of t are edges `indptr[t]` to `indptr[t + 1]`. */
  readonly indptr: Int32Array;
  readonly source: Uint16Array;
  readonly target: Uint16Array;
  /** Signed part of the target's full row: weight / rowTotal[target]. */
  readonly share: Float32Array;
  /** Outputs of s are the edges `outEdge[outptr[s]]` to `outEdge[outptr[s + 1] - 1]`. */
  readonly outptr: Int32Array;
  readonly outEdge: Int32Array;
  /** Text of embedding and logit tokens, "" elsewhere. */
  readonly token: readonly string[];
  readonly total: { readonly nodes: number; readonly edges: number; readonly influence: number };
  readonly scores: Scores | null;
  readonly rowOf: ReadonlyMap<string, number>;
}

/** Signed weight of an edge. */
export function weightOf(graph: Graph, edge: number): number {
  return graph.share[edge]! * graph.rowTotal[graph.target[edge]!]!;
}

export function idOf(graph: Graph, row: number): NodeId {
  return [KINDS[graph.kind[row]!]!, graph.layer[row]!, graph.position[row]!, graph.index[row]!];
}

/** One string per node id, so that ids can be keys. */
export function keyOf(id: NodeId): string {
  return id.join("/");
}

export function rowOf(graph: Graph, id: NodeId | null): number | null {
  return id === null ? null : (graph.rowOf.get(keyOf(id)) ?? null);
}

/** Rows of those of `ids` that the data hold. */
export function rowsOf(graph: Graph, ids: readonly NodeId[]): number[] {
  return ids.map((id) => rowOf(graph, id)).filter((row) => row !== null);
}

/** What a node counts for: its influence on the output, or the probability of a logit. */
export function strengthOf(graph: Graph, row: number): number {
  return graph.kind[row] === LOGIT ? graph.probability[row]! || 0 : graph.influence[row]!;
}

/** Read a node id from outside; null if it is none. */
export function asNodeId(value: unknown): NodeId | null {
  if (!Array.isArray(value) || value.length !== 4 || typeof value[0] !== "string") return null;
  return value.slice(1).every((part) => Number.isSafeInteger(part)) ? (value as unknown as NodeId) : null;
}

/** "L2/517", the name of a feature wherever it is active; null for other kinds. */
export function featureName(graph: Graph, row: number): string | null {
  return graph.kind[row] === FEATURE ? `L${graph.layer[row]}/${graph.index[row]}` : null;
}

/** Rows of the feature of `row` at every position, `row` among them; none for other kinds. */
export function sameFeature(graph: Graph, row: number): number[] {
  if (graph.kind[row] !== FEATURE) return [];
  const same: number[] = [];
  graph.index.forEach((index, other) => {
    if (index === graph.index[row] && graph.layer[other] === graph.layer[row] && graph.kind[other] === FEATURE)
      same.push(other);
  });
  return same;
}

/** Check `columns` and index them; throws ColumnsError, since the bytes may be anybody's. */
export function readGraph(columns: Columns): Graph {
  const array = <T extends Column>(name: string, length: number, type: new (size: number) => T): T => {
    const entry = columns.arrays.get(name);
    check(entry?.data.length === length, `column "${name}" does not have ${length} values`);
    if (entry.data instanceof type) return entry.data;
    const converted = new type(length);
    converted.set(entry.data);
    return converted;
  };
  const n = columns.arrays.get("kind")?.data.length ?? 0;
  const e = columns.arrays.get("source")?.data.length ?? 0;
  const tokens = fact<string[]>(columns, "tokens", areTexts);
  const nLayers = fact<number>(columns, "n_layers", isCount);
  const kind = array("kind", n, Uint8Array);
  const layer = array("layer", n, Int16Array);
  const position = array("position", n, Int32Array);
  for (let row = 0; row < n; row++) {
    const inside = kind[row]! < KINDS.length && layer[row]! >= -1 && layer[row]! <= nLayers;
    check(inside && position[row]! >= 0 && position[row]! < tokens.length, `node ${row} lies outside`);
  }
  const indptr = array("indptr", n + 1, Int32Array);
  const source = array("source", e, Uint16Array);
  const target = targetsOf(indptr, source, n);
  const [outptr, outEdge] = outputsOf(source, n);
  const graph = {
    n,
    e,
    prompt: fact<string>(columns, "prompt", isText),
    tokens,
    nLayers,
    kind,
    layer,
    position,
    index: array("index", n, Float64Array),
    activation: array("activation", n, Float32Array),
    probability: array("probability", n, Float32Array),
    influence: array("influence", n, Float32Array),
    rowTotal: array("row_total", n, Float32Array),
    errorShare: array("error_share", n, Float32Array),
    indptr,
    source,
    target,
    share: array("share", e, Float32Array),
    outptr,
    outEdge,
    token: nodeTokens(columns, n),
    total: {
      nodes: Math.max(n, fact<number>(columns, "total_nodes", isCount)),
      edges: Math.max(e, fact<number>(columns, "total_edges", isCount)),
      influence: fact<number>(columns, "total_influence", isNumber),
    },
    scores: readScores(columns.metadata.get("scores")),
    rowOf: new Map<string, number>(),
  };
  for (let row = 0; row < n; row++) graph.rowOf.set(keyOf(idOf(graph, row)), row);
  return graph;
}

/** Target of every edge; checks that rows are in order and that sources come before their targets. */
function targetsOf(indptr: Int32Array, source: Uint16Array, n: number): Uint16Array {
  check(n <= 65_536, `${n} nodes are more than a view can hold`);
  check(indptr[0] === 0 && indptr[n] === source.length, "rows do not cover the edges");
  const target = new Uint16Array(source.length);
  for (let row = 0; row < n; row++) {
    check(indptr[row + 1]! >= indptr[row]!, "rows do not cover the edges");
    for (let edge = indptr[row]!; edge < indptr[row + 1]!; edge++) {
      check(source[edge]! < row, "an edge does not come from an earlier node");
      target[edge] = row;
    }
  }
  return target;
}

function outputsOf(source: Uint16Array, n: number): [outptr: Int32Array, outEdge: Int32Array] {
  const outptr = new Int32Array(n + 1);
  for (const row of source) outptr[row + 1]!++;
  for (let row = 0; row < n; row++) outptr[row + 1]! += outptr[row]!;
  const next = outptr.slice();
  const outEdge = new Int32Array(source.length);
  for (let edge = 0; edge < source.length; edge++) outEdge[next[source[edge]!]!++] = edge;
  return [outptr, outEdge];
}

function nodeTokens(columns: Columns, n: number): string[] {
  const token = new Array<string>(n).fill("");
  const named = fact<object>(columns, "node_token", (value) => typeof value === "object" && value !== null);
  for (const [row, value] of Object.entries(named))
    if (Number(row) < n && typeof value === "string") token[Number(row)] = value;
  return token;
}

function fact<T>(columns: Columns, key: string, isRight: (value: unknown) => boolean): T {
  const value = columns.metadata.get(key);
  check(isRight(value), `metadata "${key}" is damaged`);
  return value as T;
}

const isText = (value: unknown): boolean => typeof value === "string";
const areTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText);
const isNumber = (value: unknown): boolean => typeof value === "number";
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

function readScores(value: unknown): Scores | null {
  const { replacement, completeness } = (value ?? {}) as Partial<Scores>;
  return typeof replacement === "number" && typeof completeness === "number" ? { replacement, completeness } : null;
}
