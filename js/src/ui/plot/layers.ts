/** The canvases of the plot, one above the other: edges, nodes, focus; redrawn at most once per frame, and only what changed. */

import type { ReadonlySignal } from "@preact/signals-core";
import { atEnd } from "../../core/lifetime";
import type { Palette } from "../../core/palette";
import type { Layout } from "../../core/plot/layout";
import { h } from "../parts/dom";
import { Density } from "./density";
import type { PlotLabels } from "./labels";
import { NodePainter, paintFocus, paintGrid, placeOf, radiusAt, type Scene, underline } from "./paint";
import type { PlotState } from "./state";
import type { Tooltip } from "./tooltip";

export const LAYERS = ["edges", "nodes", "focus"] as const;
export type Layer = (typeof LAYERS)[number];
/** After the last zoom or pan, until the bitmap is drawn anew. */
const SETTLE_MS = 90;

export class PlotLayers {
  readonly canvases = LAYERS.map((name) => h("canvas", { class: `ctw-canvas ctw-canvas-${name}` }));
  readonly density: Density;
  readonly #contexts = this.canvases.map((canvas) => canvas.getContext("2d")!);
  readonly #painter = new NodePainter();
  readonly #dirty = new Set<Layer>();
  #frame = 0;
  #settle = 0;

  constructor(
    readonly state: PlotState,
    readonly palette: ReadonlySignal<Palette>,
    readonly labels: PlotLabels,
    readonly tooltip: Tooltip,
    abort: AbortSignal,
  ) {
    this.density = new Density(() => this.schedule("edges"), abort);
    atEnd(abort, () => {
      cancelAnimationFrame(this.#frame);
      clearTimeout(this.#settle);
    });
  }

  /** Draw these layers at the next frame. */
  schedule(...layers: readonly Layer[]): void {
    for (const layer of layers) this.#dirty.add(layer);
    if (!this.#frame) this.#frame = requestAnimationFrame(() => this.#draw());
  }

  /** Draw the bitmap of all edges anew, now or once the window has come to rest. */
  startDensity(): void {
    const { state, palette } = this;
    const layout = state.layout.peek();
    if (!layout) return;
    this.density.start({
      graph: state.session.graph,
      layout,
      edges: () => state.edges.peek(),
      viewport: state.viewport.peek(),
      palette: palette.peek(),
      ratio: devicePixelRatio,
    });
  }

  settleDensity(): void {
    clearTimeout(this.#settle);
    if (this.density.viewport === null || this.density.viewport === this.state.viewport.value) return;
    this.#settle = window.setTimeout(() => this.startDensity(), SETTLE_MS);
  }

  /** What painters need; null before the plot has a size. */
  scene(): Scene | null {
    const { state, palette } = this;
    const layout = state.layout.peek();
    return layout && { graph: state.session.graph, layout, viewport: state.viewport.peek(), palette: palette.peek() };
  }

  #draw(): void {
    this.#frame = 0;
    const scene = this.scene();
    if (!scene) return;
    for (const [i, layer] of LAYERS.entries()) {
      if (!this.#dirty.has(layer)) continue;
      const context = this.#contexts[i]!;
      prepare(context, scene.layout, devicePixelRatio);
      if (layer === "edges") this.#drawEdges(context, scene);
      else if (layer === "nodes") this.#drawNodes(context, scene);
      else this.#drawFocus(context, scene);
    }
    this.#dirty.clear();
  }

  #drawEdges(context: CanvasRenderingContext2D, scene: Scene): void {
    paintGrid(context, scene);
    const drawn = this.density.viewport;
    if (!drawn) return;
    // While the window moves, the last bitmap moves with it.
    const stretch = scene.viewport.scale / drawn.scale;
    const { width, height } = scene.layout;
    const x = scene.viewport.x - drawn.x * stretch;
    const y = scene.viewport.y - drawn.y * stretch;
    context.drawImage(this.density.bitmap, x, y, width * stretch, height * stretch);
  }

  #drawNodes(context: CanvasRenderingContext2D, scene: Scene): void {
    this.#painter.paint(context, scene, devicePixelRatio);
    underline(context, scene, this.state.session.unmatchedRows.peek());
    this.labels.place(scene.layout, scene.viewport, radiusAt(scene));
  }

  #drawFocus(context: CanvasRenderingContext2D, scene: Scene): void {
    paintFocus(context, scene, this.state.focus());
    const hovered = this.state.session.hoveredRow.peek();
    const [x, y] = hovered === null ? [Number.NaN, Number.NaN] : placeOf(scene, hovered);
    this.tooltip.show(Number.isNaN(x) ? null : hovered, x, y, scene.layout);
  }
}

/** Clear a canvas, at the size of the layout and in its coordinates. */
function prepare(context: CanvasRenderingContext2D, { width, height }: Layout, ratio: number): void {
  const { canvas } = context;
  const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
  }
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, wide, high);
  context.setTransform(wide / width, 0, 0, high / height, 0, 0);
}
