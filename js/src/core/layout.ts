/**
 * Where every node stands: y by layer, x by token, order inside a cell by influence.
 *
 * Rows run from the embeddings at the bottom to the logits on top; a run of layers that shows nothing takes one thin
 * row. A column is as wide as its fullest cell needs. Where cells are too full for one line of nodes they use several,
 * as many as gives the largest spacing. Logits stand in one line that ends at the last token, each beside its text.
 */

import { EMBEDDING, type Graph, LOGIT } from "./graph";

export interface Row {
  /** First and last layer; equal unless the row stands for a run of empty layers. -1: embeddings, nLayers: logits. */
  readonly from: number;
  readonly to: number;
  readonly isEmpty: boolean;
  readonly y: number;
  readonly height: number;
}

export interface ColumnSpan {
  readonly left: number;
  readonly width: number;
}

export interface Layout {
  readonly width: number;
  readonly height: number;
  /** Centre of every node; NaN where it is not shown. */
  readonly x: Float32Array;
  readonly y: Float32Array;
  readonly radius: number;
  readonly rows: readonly Row[];
  /** One per token. */
  readonly columns: readonly ColumnSpan[];
  /** Shown nodes, top row first, from left to right. */
  readonly order: Int32Array;
  /** Logits with room for their text to the right of the mark. */
  readonly labelled: ReadonlySet<number>;
}

export interface LayoutOptions {
  readonly width: number;
  readonly height: number;
  /** Width that the text of each token would like, and that of each logit's label by row. */
  readonly tokenWidth: (position: number) => number;
  readonly labelWidth: (row: number) => number;
}

const SMALLEST_RADIUS = 1.6;
const LARGEST_RADIUS = 5.5;
/** Of the spacing between nodes, the part that is node. */
const FILL = 0.37;
/** Height of a row of empty layers, in rows. */
const THIN = 0.5;
const MOST_LINES = 12;
/** Nodes do not get further apart than this, however much room there is. */
const LARGEST_PITCH = 17;
/** Kept free on each side of a column. */
const COLUMN_GAP = 7;

export function layoutGraph(graph: Graph, visible: Uint8Array, options: LayoutOptions): Layout {
  const { width, height } = options;
  const cells = fillCells(graph, visible);
  const rows = layRows(graph, cells, height);
  const lineHeight = Math.min(...rows.filter((row) => !row.isEmpty).map((row) => row.height)) * 0.86;
  const fit = fitColumns(graph, cells, options, lineHeight);
  const x = new Float32Array(graph.n).fill(Number.NaN);
  const y = new Float32Array(graph.n).fill(Number.NaN);
  for (const row of rows) {
    for (const [position, nodes] of cells.get(row.from) ?? []) {
      if (row.from < graph.nLayers) placeCell(nodes, fit.columns[position]!, row.y, fit, x, y);
    }
  }
  const labelled = placeLogits(graph, cells, fit, rows, options, x, y);
  const order = Int32Array.from(graph.kind.keys())
    .filter((row) => visible[row] === 1)
    .sort((a, b) => y[a]! - y[b]! || x[a]! - x[b]!);
  const radius = Math.min(
    LARGEST_RADIUS,
    Math.max(SMALLEST_RADIUS, FILL * Math.min(fit.pitch, lineHeight / fit.lines)),
  );
  return { width, height, x, y, radius, rows, columns: fit.columns, order, labelled };
}

/** Visible nodes by layer and position, strongest first. */
type Cells = ReadonlyMap<number, ReadonlyMap<number, number[]>>;

function fillCells(graph: Graph, visible: Uint8Array): Cells {
  const cells = new Map<number, Map<number, number[]>>();
  for (let row = 0; row < graph.n; row++) {
    if (!visible[row]) continue;
    const layer = layerOf(graph, row);
    const line = cells.get(layer) ?? new Map<number, number[]>();
    const cell = line.get(graph.position[row]!) ?? [];
    cell.push(row);
    cells.set(layer, line.set(graph.position[row]!, cell));
  }
  const strength = (row: number): number =>
    graph.kind[row] === LOGIT ? graph.probability[row]! || 0 : graph.influence[row]!;
  for (const line of cells.values()) {
    for (const cell of line.values()) cell.sort((a, b) => strength(b) - strength(a) || a - b);
  }
  return cells;
}

/** Layer for the eye: embeddings and logits have rows of their own, whatever layer a foreign file gave them. */
function layerOf(graph: Graph, row: number): number {
  if (graph.kind[row] === EMBEDDING) return -1;
  return graph.kind[row] === LOGIT ? graph.nLayers : graph.layer[row]!;
}

function layRows(graph: Graph, cells: Cells, height: number): Row[] {
  const bands: { from: number; to: number; isEmpty: boolean }[] = [];
  for (let layer = graph.nLayers; layer >= -1; layer--) {
    const isEmpty = !cells.has(layer);
    const last = bands.at(-1);
    if (isEmpty && last?.isEmpty) last.from = layer;
    else bands.push({ from: layer, to: layer, isEmpty });
  }
  const unit = height / bands.reduce((sum, band) => sum + (band.isEmpty ? THIN : 1), 0);
  let top = 0;
  return bands.map((band) => {
    const size = unit * (band.isEmpty ? THIN : 1);
    top += size;
    return { ...band, y: top - size / 2, height: size };
  });
}

interface Fit {
  readonly columns: ColumnSpan[];
  readonly pitch: number;
  readonly lines: number;
  readonly lineHeight: number;
}

/** Columns for the number of lines per cell that keeps nodes furthest apart. */
function fitColumns(graph: Graph, cells: Cells, options: LayoutOptions, lineHeight: number): Fit {
  const fullest = new Array<number>(graph.tokens.length).fill(1);
  for (const [layer, line] of cells) {
    if (layer === graph.nLayers) continue;
    for (const [position, nodes] of line) fullest[position] = Math.max(fullest[position]!, nodes.length);
  }
  let best: { lines: number; pitch: number; spacing: number } | undefined;
  const gap = Math.min(COLUMN_GAP, options.width / fullest.length / 4);
  const room = options.width - 2 * gap * fullest.length;
  for (let lines = 1; lines <= MOST_LINES; lines++) {
    const units = fullest.reduce((sum, size) => sum + Math.ceil(size / lines), 0);
    const pitch = Math.min(LARGEST_PITCH, room / units);
    const spacing = Math.min(pitch, lineHeight / lines);
    if (!best || spacing > best.spacing * 1.05) best = { lines, pitch, spacing };
  }
  const { lines, pitch, spacing } = best!;
  const need = fullest.map((size) => Math.ceil(size / lines) * spacing + 2 * gap);
  return { columns: spread(need, options), pitch: Math.min(pitch, spacing * 1.5), lines, lineHeight };
}

/** Give every column what it needs, then what its token's text would like, then an equal part of what is left. */
function spread(need: number[], { width, tokenWidth }: LayoutOptions): ColumnSpan[] {
  const needed = need.reduce((sum, size) => sum + size, 0);
  const wish = need.map((size, position) => Math.max(0, tokenWidth(position) + 6 - size));
  const wished = wish.reduce((sum, size) => sum + size, 0);
  const left = Math.max(0, width - needed);
  const granted = wished > 0 ? Math.min(1, left / wished) : 0;
  const extra = Math.max(0, left - wished) / need.length;
  let at = 0;
  return need.map((size, position) => {
    const column = { left: at, width: size + wish[position]! * granted + extra };
    at += column.width;
    return column;
  });
}

/** Nodes of one cell in as few lines as its column allows, centred in it. */
function placeCell(
  nodes: number[],
  column: ColumnSpan,
  middle: number,
  fit: Fit,
  x: Float32Array,
  y: Float32Array,
): void {
  const perLine = Math.ceil(nodes.length / fit.lines);
  const lines = Math.ceil(nodes.length / perLine);
  const pitch = Math.min(fit.pitch, column.width / perLine);
  const rise = Math.min(pitch, fit.lineHeight / fit.lines);
  nodes.forEach((row, i) => {
    const [line, place] = [Math.floor(i / perLine), i % perLine];
    x[row] = column.left + column.width / 2 + (place - (perLine - 1) / 2) * pitch;
    y[row] = middle + (line - (lines - 1) / 2) * rise;
  });
}

/** Logits in one line, likeliest first, ending above the last token; returns those whose text has room. */
function placeLogits(
  graph: Graph,
  cells: Cells,
  fit: Fit,
  rows: readonly Row[],
  options: LayoutOptions,
  x: Float32Array,
  y: Float32Array,
): Set<number> {
  const labelled = new Set<number>();
  const top = rows.find((row) => row.from === graph.nLayers);
  const nodes = [...(cells.get(graph.nLayers)?.values() ?? [])].flat();
  if (!top || nodes.length === 0) return labelled;
  const bare = Math.min(LARGEST_PITCH, options.width / nodes.length);
  const widths = nodes.map(() => bare);
  let used = bare * nodes.length;
  for (const [i, row] of nodes.entries()) {
    used += options.labelWidth(row);
    if (used > options.width) break;
    widths[i] = bare + options.labelWidth(row);
    labelled.add(row);
  }
  const total = widths.reduce((sum, size) => sum + size, 0);
  const last = fit.columns.at(-1)!;
  let at = Math.max(0, Math.min(options.width - total, last.left + last.width / 2 - widths[0]! / 2));
  for (const [i, row] of nodes.entries()) {
    x[row] = at + bare / 2;
    y[row] = top.y;
    at += widths[i]!;
  }
  return labelled;
}
