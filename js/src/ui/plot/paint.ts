/** What the three canvases of the plot show: the grid under the edges, the nodes, and the focus on top. */

import type { Connection } from "../../core/graph/connections";
import { EMBEDDING, ERROR, type Graph, KINDS, LOGIT } from "../../core/graph/graph";
import { css, mix, type Palette, type RGB } from "../../core/palette";
import type { Layout } from "../../core/plot/layout";
import { markScale, type Viewport } from "../../core/plot/viewport";
import { traceShape } from "../parts/shapes";
import type { Pen } from "../parts/vector";

export interface Scene {
  readonly graph: Graph;
  readonly layout: Layout;
  readonly viewport: Viewport;
  readonly palette: Palette;
}

export interface Focus {
  /** Edges of the node in focus, and those between pinned nodes; weak ones first. */
  readonly edges: readonly Connection[];
  readonly among: readonly Connection[];
  /** The node at the other end of the edge that a list points at. */
  readonly pointed: number | null;
  readonly hovered: number | null;
  readonly selected: number | null;
  readonly pinned: readonly number[];
  /** The feature in focus at all its positions. */
  readonly same: readonly number[];
}

const SHADES = 8;
/** Node outlines: at least 3:1 on either surface. */
const OUTLINE = 0.62;
/** Fill of the weakest and the strongest node, from surface to ink. */
const FAINTEST = 0.1;
const DARKEST = 0.92;

/** Faint lines between tokens and along layers, for the eye to follow. */
export function paintGrid(context: Pen, { layout, viewport, palette }: Scene): void {
  context.strokeStyle = css(palette.hairline);
  context.lineWidth = 1;
  context.beginPath();
  for (const { left, width } of layout.columns.slice(1)) {
    if (width === 0) continue;
    const x = Math.round(left * viewport.scale + viewport.x) + 0.5;
    context.moveTo(x, 0);
    context.lineTo(x, layout.height);
  }
  context.stroke();
}

/** All shown nodes, by sprites from one sheet: thousands of small paths would take longer than a frame. */
export class NodePainter {
  #sheet = document.createElement("canvas");
  #drawn = new Set<number>();
  #key = "";

  paint(context: CanvasRenderingContext2D, scene: Scene, ratio: number): void {
    const { graph, layout, viewport } = scene;
    const radius = radiusAt(scene);
    const side = Math.ceil((radius + 3) * 2.6 * ratio);
    const half = side / ratio / 2;
    this.#start(JSON.stringify([scene.palette, radius, ratio]), side);
    const strongest = strongestInfluence(graph, layout);
    for (const row of layout.order) {
      const x = layout.x[row]! * viewport.scale + viewport.x;
      const y = layout.y[row]! * viewport.scale + viewport.y;
      if (x < -half || y < -half || x > layout.width + half || y > layout.height + half) continue;
      const kind = graph.kind[row]!;
      const shade = Math.round(strength(graph, row, strongest) * SHADES);
      this.#draw(kind, shade, scene.palette, radius, ratio, side);
      context.drawImage(this.#sheet, shade * side, kind * side, side, side, x - half, y - half, 2 * half, 2 * half);
    }
  }

  /** Empty the sheet if it holds sprites of another look. */
  #start(key: string, side: number): void {
    if (key === this.#key) return;
    this.#key = key;
    this.#drawn.clear();
    this.#sheet.width = side * (SHADES + 1);
    this.#sheet.height = side * KINDS.length;
  }

  #draw(kind: number, shade: number, palette: Palette, radius: number, ratio: number, side: number): void {
    const place = kind * (SHADES + 1) + shade;
    if (this.#drawn.has(place)) return;
    this.#drawn.add(place);
    const context = this.#sheet.getContext("2d")!;
    context.setTransform(ratio, 0, 0, ratio, (shade + 0.5) * side, (kind + 0.5) * side);
    paintNode(context, kind, 0, 0, sized(radius, shade / SHADES), shaded(palette, shade / SHADES), palette);
  }
}

/** A bar under every shown node of `rows`: those that the graph beside this one does not have. */
export function underline(context: Pen, scene: Scene, rows: ReadonlySet<number>): void {
  if (rows.size === 0) return;
  const { graph, layout, palette } = scene;
  const [radius, strongest] = [radiusAt(scene), strongestInfluence(graph, layout)];
  context.fillStyle = css(palette.ink);
  for (const row of layout.order) {
    if (!rows.has(row)) continue;
    const [x, y] = placeOf(scene, row);
    const half = sized(radius, strength(graph, row, strongest));
    context.beginPath();
    context.rect(x - half, y + half + 2, 2 * half, radius < 2.5 ? 1 : 1.5);
    context.fill();
  }
}

/** All shown nodes again, each as a path of its own. */
export function paintNodes(context: Pen, scene: Scene): void {
  const { graph, layout, palette } = scene;
  const strongest = strongestInfluence(graph, layout);
  for (const row of layout.order) {
    const size = strength(graph, row, strongest);
    const fill = shaded(palette, size);
    paintNode(context, graph.kind[row]!, ...placeOf(scene, row), sized(radiusAt(scene), size), fill, palette);
  }
}

/** Strokes of the focus, the nodes at their ends tinted by sign and share, and the rings. */
export function paintFocus(context: Pen, scene: Scene, focus: Focus): void {
  const { graph, layout, palette } = scene;
  const largest = [...focus.edges, ...focus.among].reduce((most, { share }) => Math.max(most, Math.abs(share)), 1e-9);
  const pointed = focus.edges.find(({ row }) => row === focus.pointed);
  const stroke = ({ edge, share }: Connection, strength: number): void => {
    const size = Math.sqrt(Math.abs(share) / largest);
    context.strokeStyle = css(share < 0 ? palette.negative : palette.positive, (0.25 + 0.65 * size) * strength);
    context.lineWidth = 0.6 + 2.6 * size + (strength > 1 ? 1 : 0);
    strokeEdge(context, scene, graph.source[edge]!, graph.target[edge]!);
  };
  for (const item of focus.among) stroke(item, 1);
  for (const item of focus.edges) stroke(item, pointed ? 0.55 : 1);
  if (pointed) stroke(pointed, 4);
  const strongest = strongestInfluence(graph, layout);
  const radius = radiusAt(scene);
  const radiusOf = (row: number): number => sized(radius, strength(graph, row, strongest));
  for (const { row, share } of focus.edges) {
    const sign = share < 0 ? palette.negative : palette.positive;
    const fill = mix(palette.surface, sign, 0.25 + 0.75 * Math.sqrt(Math.abs(share) / largest));
    paintNode(context, graph.kind[row]!, ...placeOf(scene, row), radiusOf(row), fill, palette);
  }
  const mark = (row: number, ring: RGB, width: number, distance: number): void => {
    if (Number.isNaN(layout.x[row]!)) return;
    const [x, y] = placeOf(scene, row);
    const fill = shaded(palette, strength(graph, row, strongest));
    paintNode(context, graph.kind[row]!, x, y, radiusOf(row), fill, palette);
    context.strokeStyle = css(ring);
    context.lineWidth = width;
    context.beginPath();
    traceShape(context, graph.kind[row]!, x, y, radiusOf(row) + distance);
    context.stroke();
  };
  for (const row of focus.pinned) mark(row, palette.ink, 1.5, 2.5);
  context.setLineDash([2, 2]);
  for (const row of focus.same) mark(row, palette.accent, 1.5, 3);
  context.setLineDash([]);
  if (focus.selected !== null) mark(focus.selected, palette.accent, 2, 4.5);
  if (focus.hovered !== null) mark(focus.hovered, palette.accent, 1, 2.5);
}

/** Radius of an average node. In half pixels, so that zooming reuses sprites. */
export function radiusAt({ layout, viewport }: Scene): number {
  return viewport.scale === 1 ? layout.radius : Math.round(2 * layout.radius * markScale(viewport)) / 2;
}

/** Radius of a node by its strength, 0 to 1. */
function sized(radius: number, strength: number): number {
  return radius * (0.78 + 0.42 * strength);
}

function shaded(palette: Palette, strength: number): RGB {
  return mix(palette.surface, palette.ink, FAINTEST + (DARKEST - FAINTEST) * strength);
}

function paintNode(
  context: Pen,
  kind: number,
  x: number,
  y: number,
  radius: number,
  fill: RGB,
  palette: Palette,
): void {
  context.beginPath();
  traceShape(context, kind, x, y, radius);
  context.fillStyle = css(kind === ERROR ? palette.surface : fill);
  context.fill();
  context.strokeStyle = css(kind === ERROR ? mix(fill, palette.ink, 0.5) : mix(palette.surface, palette.ink, OUTLINE));
  context.lineWidth = radius < 2.5 ? 0.75 : 1;
  context.stroke();
}

/** The same curve as in the density bitmap: control points at thirds of the height make y linear and x a smooth step. */
function strokeEdge(context: Pen, scene: Scene, source: number, target: number): void {
  const [x0, y0] = placeOf(scene, source);
  const [x1, y1] = placeOf(scene, target);
  const third = (y1 - y0) / 3;
  context.beginPath();
  context.moveTo(x0, y0);
  context.bezierCurveTo(x0, y0 + third, x1, y1 - third, x1, y1);
  context.stroke();
}

export function placeOf({ layout, viewport }: Scene, row: number): [x: number, y: number] {
  return [layout.x[row]! * viewport.scale + viewport.x, layout.y[row]! * viewport.scale + viewport.y];
}

/** 0 to 1: how much of the output a node explains, against the strongest on the plot; for a logit its probability. */
function strength(graph: Graph, row: number, strongest: number): number {
  if (graph.kind[row] === LOGIT) return Math.min(1, graph.probability[row]! || 0);
  return Math.sqrt(Math.min(1, Math.max(0, graph.influence[row]! / strongest)));
}

/** Of features and errors; the embeddings, where all paths end, are darker than any of them. */
function strongestInfluence(graph: Graph, layout: Layout): number {
  let most = strongestOf.get(layout);
  if (most === undefined) {
    most = layout.order.reduce(
      (most, row) => (graph.kind[row] === EMBEDDING ? most : Math.max(most, graph.influence[row]!)),
      1e-12,
    );
    strongestOf.set(layout, most);
  }
  return most;
}

const strongestOf = new WeakMap<Layout, number>();
