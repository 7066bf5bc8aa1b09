/**
 * Where every node stands: y by layer, x by token, order inside a cell by influence.
 *
 * Rows run from the embeddings at the bottom to the logits on top; a run of layers that shows nothing takes one thin
 * row, and a run of folded tokens one column. A column is as wide as its fullest cell needs. Where cells are too full
 * for one line of nodes they use several, and the rows that need more lines are higher. Logits carry their text: beside
 * the mark where it fits, else above.
 */

import { EMBEDDING, type Graph, LOGIT, strengthOf } from "../graph/graph";
import type { Folds } from "./folding";

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
  /** One per token; of those that are folded together the first has all the width. */
  readonly columns: readonly ColumnSpan[];
  /** Shown nodes, top row first, from left to right. */
  readonly order: Int32Array;
  /** Logits with room for their text, and where it stands. */
  readonly labelled: ReadonlySet<number>;
  readonly labelSide: "beside" | "above";
}

export interface LayoutOptions {
  readonly width: number;
  readonly height: number;
  /** Width that the text of each token would like, and that of a logit's label with and without its probability. */
  readonly tokenWidth: (position: number) => number;
  readonly labelWidth: (row: number, side: "beside" | "above") => number;
  readonly folds: Folds;
  /** Empty layers, as -2 - layer, that get rows of their own. */
  readonly open: ReadonlySet<number>;
}

const SMALLEST_RADIUS = 1.5;
const LARGEST_RADIUS = 5.2;
/** Of the spacing between nodes, the part that is node. */
const FILL = 0.36;
/** Height of a row of empty layers, and of each further line in a row, in rows. */
const THIN = 0.5;
const FURTHER_LINE = 0.7;
/** Of a row's height, the part that nodes use. */
const ROW_FILL = 0.84;
const MOST_LINES = 12;
/** Nodes get no further apart than this, however much room there is; from here on, one line is better than two. */
const LARGEST_PITCH = 17;
const GOOD_PITCH = 8;
/** Logits stand at least this far apart, so that slanted text above them can be told apart. */
const LOGIT_PITCH = 17;
/** Room of a token whose text is slanted. */
export const SLANTED_WIDTH = 15;
/** Kept free on each side of a column. */
const COLUMN_GAP = 7;
/** Of the plot's width, the parts that logits with text beside them, the column under logits, and all texts may take. */
const BESIDE_PART = 0.5;
const LOGIT_PART = 0.4;
const TEXT_PART = 0.8;
/** Angle of text that has no room to lie flat, in degrees. */
export const SLANT = 45;

export function layoutGraph(graph: Graph, visible: Uint8Array, options: LayoutOptions): Layout {
  const { width, height } = options;
  const cells = fillCells(graph, visible);
  const logits = [...(cells.get(graph.nLayers)?.values() ?? [])].flat();
  const labels = labelLogits(logits, options);
  const fit = fitCells(graph, cells, labels, options);
  const rows = layRows(fit, labels.space, height);
  const x = new Float32Array(graph.n).fill(Number.NaN);
  const y = new Float32Array(graph.n).fill(Number.NaN);
  for (const row of rows) {
    for (const [position, nodes] of row.from === graph.nLayers ? [] : (cells.get(row.from) ?? [])) {
      placeCell(nodes, fit.columns[position]!, row, fit, x, y);
    }
  }
  const top = rows[0]!;
  const labelled = placeLogits(logits, labels, fit, width, x);
  for (const row of logits) y[row] = top.y;
  const order = Int32Array.from(graph.kind.keys())
    .filter((row) => visible[row] === 1)
    .sort((a, b) => y[a]! - y[b]! || x[a]! - x[b]!);
  const spacing = Math.min(fit.spacing, logitPitch(logits.length, fit, width));
  const radius = Math.min(LARGEST_RADIUS, Math.max(SMALLEST_RADIUS, FILL * spacing));
  return { width, height, x, y, radius, rows, columns: fit.columns, order, labelled, labelSide: labels.side };
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
  for (const line of cells.values()) {
    for (const cell of line.values()) cell.sort((a, b) => strengthOf(graph, b) - strengthOf(graph, a) || a - b);
  }
  return cells;
}

/** Layer for the eye: embeddings and logits have rows of their own, whatever layer a foreign file gave them. */
function layerOf(graph: Graph, row: number): number {
  if (graph.kind[row] === EMBEDDING) return -1;
  return graph.kind[row] === LOGIT ? graph.nLayers : graph.layer[row]!;
}

interface Labels {
  readonly side: "beside" | "above";
  /** Width of each logit with its text; used when it stands beside. */
  readonly widths: number[];
  /** Height that text above the marks takes. */
  readonly space: number;
  /** Width that the last column would like to have, to stand under them. */
  readonly room: number;
}

function labelLogits(logits: readonly number[], { width, labelWidth }: LayoutOptions): Labels {
  const widths = logits.map((row) => LARGEST_PITCH + labelWidth(row, "beside"));
  if (widths.reduce((sum, size) => sum + size, 0) <= width * BESIDE_PART) {
    // A single logit stands above the middle of its column, and its text in the right half.
    return { side: "beside", widths, space: 0, room: widths.length === 1 ? 2 * widths[0]! : 0 };
  }
  const longest = Math.max(...logits.map((row) => labelWidth(row, "above")));
  const space = longest * Math.sin((SLANT * Math.PI) / 180) + 10;
  return { side: "above", widths, space, room: logits.length * LOGIT_PITCH };
}

interface Band {
  from: number;
  readonly to: number;
  readonly isEmpty: boolean;
  readonly lines: number;
  readonly weight: number;
}

interface Fit {
  readonly columns: readonly ColumnSpan[];
  readonly bands: readonly Band[];
  /** How many nodes stand side by side in each column. */
  readonly units: readonly number[];
  readonly pitch: number;
  /** Distance between nodes, along or across lines, whichever is smaller. */
  readonly spacing: number;
}

/** Rows and columns for the number of lines per cell that keeps nodes furthest apart. */
function fitCells(graph: Graph, cells: Cells, labels: Labels, options: LayoutOptions): Fit {
  let best: Fit | undefined;
  for (let lines = 1; lines <= MOST_LINES; lines++) {
    const least = leastWidths(labels, options);
    const needed = unitsOf(graph, cells, lines, options.folds);
    const pitch = Math.min(LARGEST_PITCH, widestPitch(needed, least, options.width));
    // A column that is wide for its text or its logits has room for longer lines.
    const units = needed.map((size, column) => Math.max(size, Math.floor(least[column]! / pitch - 1)));
    const bands = bandsOf(graph, cells, units, options.open);
    const unit = (options.height - labels.space) / bands.reduce((sum, band) => sum + band.weight, 0);
    const rise = Math.min(
      ...bands.map((band) => (band.isEmpty ? pitch : (unit * band.weight * ROW_FILL) / band.lines)),
    );
    const spacing = Math.min(pitch, rise);
    const columns = columnsOf(units, least, Math.min(pitch, Math.max(spacing, GOOD_PITCH)), options.width);
    if (!best || (best.spacing < GOOD_PITCH && spacing > best.spacing * 1.12)) {
      best = { columns, bands, units, pitch: Math.min(pitch, Math.max(spacing, GOOD_PITCH)), spacing };
    }
  }
  return best!;
}

/** Nodes side by side in the fullest cell of each column, if cells have up to `lines` lines. */
function unitsOf(graph: Graph, cells: Cells, lines: number, folds: Folds): number[] {
  const units: number[] = Array.from(folds, (fold) => (fold < 0 ? 0 : 1));
  for (const [layer, line] of cells) {
    if (layer === graph.nLayers) continue;
    for (const [position, nodes] of line) units[position] = Math.max(units[position]!, Math.ceil(nodes.length / lines));
  }
  return units;
}

/** What each column needs: for its token's text, and the last for the logits; the logits yield before the texts do. */
function leastWidths(labels: Labels, { width, tokenWidth, folds }: LayoutOptions): number[] {
  const texts = Array.from(folds, (fold, position) => (fold < 0 ? 0 : tokenWidth(position) + 8));
  const last = texts.length - 1;
  const room = Math.min(labels.room, width * LOGIT_PART);
  const left = width * TEXT_PART - texts.slice(0, last).reduce((sum, size) => sum + size, 0);
  if (left >= texts[last]!) return [...texts.slice(0, last), Math.max(texts[last]!, Math.min(room, left))];
  const each = Math.min(SLANTED_WIDTH, (width * TEXT_PART - room) / Math.max(1, texts.filter(Boolean).length));
  return texts.map((text, position) => (position === last ? Math.max(each, room) : Math.min(each, text)));
}

/** The pitch at which columns of `units` nodes, each at least so wide, fill the width. */
function widestPitch(units: readonly number[], least: readonly number[], width: number): number {
  let [low, high] = [0, width];
  for (let i = 0; i < 30; i++) {
    const middle = (low + high) / 2;
    const used = units.reduce((sum, size, column) => sum + widthOf(size, least[column]!, middle), 0);
    if (used <= width) low = middle;
    else high = middle;
  }
  return low;
}

function widthOf(units: number, least: number, pitch: number): number {
  return units === 0 ? 0 : Math.max(least, units * pitch + 2 * Math.min(COLUMN_GAP, pitch / 2));
}

function columnsOf(units: readonly number[], least: readonly number[], pitch: number, width: number): ColumnSpan[] {
  const sizes = units.map((size, column) => widthOf(size, least[column]!, pitch));
  const extra = Math.max(0, width - sizes.reduce((sum, size) => sum + size, 0)) / sizes.filter(Boolean).length;
  let at = 0;
  return sizes.map((size) => {
    const column = { left: at, width: size && size + extra };
    at += column.width;
    return column;
  });
}

/** Rows from top to bottom; runs of empty layers are one, unless they are open. */
function bandsOf(graph: Graph, cells: Cells, units: readonly number[], open: ReadonlySet<number>): Band[] {
  const bands: Band[] = [];
  for (let layer = graph.nLayers; layer >= -1; layer--) {
    const line = cells.get(layer);
    const last = bands.at(-1);
    if (line) {
      const counts =
        layer === graph.nLayers ? [1] : [...line].map(([position, nodes]) => nodes.length / units[position]!);
      const lines = Math.ceil(Math.max(...counts));
      bands.push({ from: layer, to: layer, isEmpty: false, lines, weight: 1 + (lines - 1) * FURTHER_LINE });
    } else if (open.has(-2 - layer)) bands.push({ from: layer, to: layer, isEmpty: false, lines: 1, weight: 1 });
    else if (last?.isEmpty) last.from = layer;
    else bands.push({ from: layer, to: layer, isEmpty: true, lines: 1, weight: THIN });
  }
  return bands;
}

function layRows({ bands }: Fit, labelSpace: number, height: number): Row[] {
  const unit = (height - labelSpace) / bands.reduce((sum, band) => sum + band.weight, 0);
  let top = labelSpace;
  return bands.map(({ from, to, isEmpty, weight }) => {
    const size = unit * weight;
    top += size;
    return { from, to, isEmpty, y: top - size / 2, height: size };
  });
}

/** Nodes of one cell in lines of equal length, centred in it. */
function placeCell(
  nodes: readonly number[],
  column: ColumnSpan,
  row: Row,
  fit: Fit,
  x: Float32Array,
  y: Float32Array,
): void {
  const most = fit.units[Math.max(0, fit.columns.indexOf(column))]!;
  const lines = Math.ceil(nodes.length / most);
  const perLine = Math.ceil(nodes.length / lines);
  const rise = Math.min(fit.pitch, (row.height * ROW_FILL) / lines);
  nodes.forEach((node, i) => {
    const [line, place] = [Math.floor(i / perLine), i % perLine];
    x[node] = column.left + column.width / 2 + (place - (perLine - 1) / 2) * fit.pitch;
    y[node] = row.y + (line - (lines - 1) / 2) * rise;
  });
}

/** Distance between logits whose text does not stand beside them. */
function logitPitch(count: number, fit: Fit, width: number): number {
  return Math.min(Math.max(LOGIT_PITCH, fit.pitch), width / Math.max(1, count));
}

/** Logits in one line, likeliest first, above the last token; returns those whose text has room. */
function placeLogits(logits: readonly number[], labels: Labels, fit: Fit, width: number, x: Float32Array): Set<number> {
  const pitch = logitPitch(logits.length, fit, width);
  const widths = labels.side === "beside" ? labels.widths : logits.map(() => pitch);
  const total = widths.reduce((sum, size) => sum + size, 0);
  const last = fit.columns.at(-1)!;
  const middle = last.left + last.width / 2;
  const start = middle - (logits.length === 1 ? LARGEST_PITCH : total) / 2;
  let at = Math.max(0, Math.min(width - total, start));
  const labelled = new Set<number>();
  let lastText = Number.NEGATIVE_INFINITY;
  for (const [i, row] of logits.entries()) {
    x[row] = at + (labels.side === "beside" ? LARGEST_PITCH : pitch) / 2;
    if (labels.side === "beside" || x[row]! - lastText >= LOGIT_PITCH - 1) {
      labelled.add(row);
      lastText = x[row]!;
    }
    at += widths[i]!;
  }
  return labelled;
}
