/** Small graphs for tests, through the same reader as real ones. */

import { readFileSync } from "node:fs";
import { signal } from "@preact/signals-core";
import { decodeColumns } from "../src/core/columns";
import { type Graph, readGraph } from "../src/core/graph/graph";
import type { Synced } from "../src/core/graph_widget/traits";

type Numbers = Uint8Array | Int16Array | Uint16Array | Int32Array | Float32Array | BigInt64Array;

const DTYPES: [new (values: never) => Numbers, string][] = [
  [Uint8Array, "U8"],
  [Int16Array, "I16"],
  [Uint16Array, "U16"],
  [Int32Array, "I32"],
  [Float32Array, "F32"],
  [BigInt64Array, "I64"],
];

/** What `ct_widgets/columns.py` writes, in few lines. `header` may add or spoil entries. */
export function encodeColumns(
  arrays: Record<string, Numbers>,
  metadata: Record<string, unknown>,
  spoil: (header: Record<string, unknown>) => void = () => {},
): Uint8Array {
  const header: Record<string, unknown> = {
    __metadata__: Object.fromEntries(Object.entries(metadata).map(([key, value]) => [key, JSON.stringify(value)])),
  };
  let at = 0;
  for (const [name, array] of Object.entries(arrays)) {
    const dtype = DTYPES.find(([type]) => array instanceof type)![1];
    header[name] = { dtype, shape: [array.length], data_offsets: [at, at + array.byteLength] };
    at += array.byteLength;
  }
  spoil(header);
  const text = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + at);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  at = 8 + text.length;
  for (const array of Object.values(arrays)) {
    bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), at);
    at += array.byteLength;
  }
  return bytes;
}

export interface SampleNode {
  kind: number;
  layer: number;
  position: number;
  index?: number;
  influence?: number;
  probability?: number;
  token?: string;
}

export interface Sample {
  nodes: SampleNode[];
  /** `[target, source, share]`, rows in order. */
  edges: [number, number, number][];
  tokens?: string[];
  nLayers?: number;
}

/** Columns of a sample, for `encodeColumns`. */
export function sampleColumns({ nodes, edges, tokens = ["a", "b"], nLayers = 2 }: Sample) {
  const counts = nodes.map((_, row) => edges.filter(([target]) => target === row).length);
  const indptr = [0];
  for (const count of counts) indptr.push(indptr.at(-1)! + count);
  const column = (read: (node: SampleNode) => number): Float32Array => Float32Array.from(nodes, read);
  return {
    arrays: {
      kind: Uint8Array.from(nodes, (node) => node.kind),
      layer: Int16Array.from(nodes, (node) => node.layer),
      position: Int32Array.from(nodes, (node) => node.position),
      index: BigInt64Array.from(nodes, (node, row) => BigInt(node.index ?? row)),
      activation: column(() => Number.NaN),
      probability: column((node) => node.probability ?? Number.NaN),
      influence: column((node) => node.influence ?? 0),
      row_total: column(() => 2),
      error_share: column(() => 0),
      indptr: Int32Array.from(indptr),
      source: Uint16Array.from(edges, ([, source]) => source),
      share: Float32Array.from(edges, ([, , share]) => share),
    } as Record<string, Numbers>,
    metadata: {
      prompt: tokens.join(""),
      tokens,
      n_layers: nLayers,
      node_token: Object.fromEntries(nodes.flatMap(({ token }, row) => (token ? [[row, token]] : []))),
      total_nodes: nodes.length,
      total_edges: edges.length,
      total_influence: nodes.reduce((sum, node) => sum + (node.influence ?? 0), 0),
      scores: { replacement: 0.5, completeness: 0.75 },
    } as Record<string, unknown>,
  };
}

export function sampleGraph(sample: Sample): Graph {
  const { arrays, metadata } = sampleColumns(sample);
  return readGraph(decodeColumns(encodeColumns(arrays, metadata)));
}

/** Two tokens, two layers: embeddings 0 1, features 2 3 4, error 5, feature 6, logits 7 8. */
export const SMALL: Sample = {
  nodes: [
    { kind: 0, layer: -1, position: 0, influence: 0.5, token: "a" },
    { kind: 0, layer: -1, position: 1, influence: 0.4, token: "b" },
    { kind: 1, layer: 0, position: 0, index: 11, influence: 0.3 },
    { kind: 1, layer: 0, position: 1, index: 11, influence: 0.2 },
    { kind: 1, layer: 0, position: 1, index: 12, influence: 0.25 },
    { kind: 2, layer: 0, position: 1, index: -1, influence: 0.05 },
    { kind: 1, layer: 1, position: 1, index: 13, influence: 0.6 },
    { kind: 3, layer: 2, position: 1, index: 900, probability: 0.9, token: "x" },
    { kind: 3, layer: 2, position: 1, index: 901, probability: 0.05, token: "y" },
  ],
  edges: [
    [2, 0, 1],
    [3, 0, 0.5],
    [3, 1, -0.5],
    [4, 1, 1],
    [6, 2, 0.4],
    [6, 3, -0.1],
    [6, 4, 0.3],
    [6, 5, 0.2],
    [7, 1, 0.2],
    [7, 6, 0.8],
    [8, 6, -1],
  ],
};

/** The traits of a graph widget as signals of their own. */
export function synced(state: Partial<{ [K in keyof Synced]: Synced[K]["value"] }> = {}): Synced {
  return {
    selected: signal(state.selected ?? null),
    hovered: signal(state.hovered ?? null),
    pinned: signal(state.pinned ?? []),
    supernodes: signal(state.supernodes ?? []),
    labels: signal(state.labels ?? {}),
    places: signal(state.places ?? {}),
    snapshots: signal(state.snapshots ?? {}),
    nodeThreshold: signal(state.nodeThreshold ?? 1),
    edgeThreshold: signal(state.edgeThreshold ?? 1),
    pathEnds: signal(state.pathEnds ?? []),
    suggestions: signal(state.suggestions ?? null),
    panels: signal(state.panels ?? []),
    unmatched: signal(state.unmatched ?? []),
    theme: signal(state.theme ?? "light"),
  };
}

export interface PruningCase {
  graph: Graph;
  node: number;
  edge: number;
  nodes: number[];
  edges: [number, number][];
  influence: number[];
}

/** Graphs that Python packed and pruned (`fixtures/make_pruning.py`). */
export function pruningCases(): PruningCase[] {
  const { cases } = JSON.parse(readFileSync(new URL("fixtures/pruning.json", import.meta.url), "utf8"));
  const packed = new Map<number, { graph: Graph; influence: number[] }>();
  for (const item of cases) {
    if (!item.columns) continue;
    const graph = readGraph(decodeColumns(new Uint8Array(Buffer.from(item.columns, "base64"))));
    packed.set(item.graph, { graph, influence: item.influence });
  }
  return cases.map((item: { graph: number }) => ({ ...item, ...packed.get(item.graph) }));
}
