/** The plot: three canvases (edges, nodes, focus) under DOM labels, redrawn at most once per frame. */

import { connectionOf, edgesAmong, focusEdges } from "../core/connections";
import { formatCount } from "../core/format";
import { sameFeature } from "../core/graph";
import { type Layout, layoutGraph } from "../core/layout";
import { strongestFirst } from "../core/order";
import { css, type Palette } from "../core/palette";
import { pick } from "../core/picking";
import type { Session } from "../core/session";
import { computed, type ReadonlySignal, signal } from "../core/signals";
import { fitBox, panBy, resize, type Viewport, WHOLE, zoomAt } from "../core/viewport";
import { atEnd, live } from "../host/traits";
import { Density } from "./density";
import { button, h, muted, on, onResize, s } from "./dom";
import { save, textElement } from "./export";
import { listenGestures } from "./gestures";
import { logitText, PlotLabels, tokenText } from "./labels";
import { NodePainter, paintFocus, paintGrid, paintNodes, placeOf, radiusAt, type Scene, underline } from "./paint";
import { Tooltip } from "./tooltip";
import { type Pen, vector } from "./vector";

/** Strokes at most; the rest of a hub's edges stays in the density bitmap. */
export const MOST_STROKES = 500;
const PICK_REACH = 12;
/** After the last zoom or pan, until the bitmap is drawn anew. */
const SETTLE_MS = 90;
const MOST_WIDE_SCALE = 1e-3;
/** Of the edges of the selected node, those whose ends zooming to it shows. */
const FIT_EDGES = 12;

export interface Plot {
  readonly element: HTMLElement;
  /** What keys go to. */
  readonly stage: HTMLElement;
  readonly layout: ReadonlySignal<Layout | null>;
  zoom(factor: number): void;
  /** Show the selected node with its strongest connections, or the pinned nodes. */
  zoomToSelection(): void;
  reset(): void;
  /** The plot as it is now: nodes, strokes and text as such, the bitmap of all edges as a picture. */
  save(kind: "svg" | "png"): void;
}

export function createPlot(session: Session, palette: ReadonlySignal<Palette>, abort: AbortSignal): Plot {
  const { graph } = session;
  const canvases = ["edges", "nodes", "focus"].map((name) => h("canvas", { class: `ctw-canvas ctw-canvas-${name}` }));
  const [edgesContext, nodesContext, focusContext] = canvases.map((canvas) => canvas.getContext("2d")!) as [
    CanvasRenderingContext2D,
    CanvasRenderingContext2D,
    CanvasRenderingContext2D,
  ];
  const stage = h("div", { class: "ctw-stage", tabindex: 0, role: "application" });
  const measure = textMeasure(stage);
  const labels = new PlotLabels(graph, measure);
  const tooltip = new Tooltip(session);
  const resetButton = button("Reset zoom", "(0)", abort, () => reset());
  const fitButton = button("Zoom to selection", "(Z)", abort, () => zoomToSelection());
  const foldButton = button("Fold", "(E)", abort, () => session.unfold());
  const cut = muted();
  stage.append(
    ...canvases,
    labels.logits,
    tooltip.element,
    h("div", { class: "ctw-corner" }, foldButton, fitButton, resetButton, cut),
  );
  const element = h("div", { class: "ctw-plot" }, labels.layers, stage, h("div"), labels.tokens);

  const size = signal({ width: 0, height: 0 });
  const viewport = signal<Viewport>(WHOLE);
  const layout = computed(() => {
    const { width, height } = size.value;
    if (width < 1 || height < 1) return null;
    return layoutGraph(graph, session.visible.value, {
      width,
      height,
      folds: session.folds.value,
      open: session.open.value,
      tokenWidth: (position) => measure(tokenText(graph, position, session.folds.value)),
      labelWidth: (row, side) => measure(logitText(graph, row, side)) + 6,
    });
  });
  const edges = computed(() => edgesByStrength(session));
  const focusRow = computed(() => {
    const [hovered, selected] = [session.hoveredRow.value, session.selectedRow.value];
    // From a list of connections, hovering points at one of them instead of showing another node's.
    return session.hoversList.value ? (selected ?? hovered) : (hovered ?? selected);
  });
  const strokes = computed(() => {
    const { paths } = session.paths.value;
    // The paths that somebody asked for yield only to what is hovered in the plot.
    if (paths.length === 0 || (session.hoveredRow.value !== null && !session.hoversList.value))
      return focusEdges(graph, focusRow.value, session.visible.value, MOST_STROKES);
    const drawn = session.pointedPath.value === null ? paths : [paths[session.pointedPath.value]!];
    const edges = [...new Set(drawn.flatMap((path) => path.edges))].map((edge) =>
      connectionOf(graph, edge, graph.target[edge]!),
    );
    return { edges, total: edges.length };
  });
  const pinnedStrokes = computed(() => edgesAmong(graph, session.pinnedRows.value, MOST_STROKES));

  const resized = (): void => {
    const [width, height] = [stage.clientWidth, stage.clientHeight];
    const before = size.peek();
    if (width === before.width && height === before.height) return;
    if (before.width > 0 && width > 0)
      viewport.value = resize(viewport.peek(), before.width, before.height, width, height);
    size.value = { width, height };
  };
  onResize(stage, resized, abort);

  const density = new Density(() => schedule("edges"), abort);
  const painter = new NodePainter();
  const dirty = new Set<"edges" | "nodes" | "focus">();
  let frame = 0;
  let settle = 0;
  atEnd(abort, () => {
    cancelAnimationFrame(frame);
    clearTimeout(settle);
  });
  const schedule = (...parts: ("edges" | "nodes" | "focus")[]): void => {
    for (const part of parts) dirty.add(part);
    if (!frame) frame = requestAnimationFrame(draw);
  };

  const startDensity = (): void => {
    const current = layout.peek();
    if (!current) return;
    density.start({
      graph,
      layout: current,
      edges: () => edges.peek(),
      viewport: viewport.peek(),
      palette: palette.peek(),
      ratio: devicePixelRatio,
    });
  };
  live(abort, () => {
    session.pruned.value;
    palette.value;
    const current = layout.value;
    if (!current) return;
    labels.build(current, session.folds.peek());
    startDensity();
    schedule("edges", "nodes", "focus");
  });
  live(abort, () => {
    session.unmatchedRows.value;
    schedule("nodes");
  });
  live(abort, () => {
    const { scale } = viewport.value;
    resetButton.hidden = scale <= 1 + MOST_WIDE_SCALE;
    element.classList.toggle("ctw-zoomed", scale > 1 + MOST_WIDE_SCALE);
    schedule("edges", "nodes", "focus");
    clearTimeout(settle);
    if (density.viewport !== null && density.viewport !== viewport.value)
      settle = window.setTimeout(startDensity, SETTLE_MS);
  });
  live(abort, () => {
    const [drawn, all] = [strokes.value, pinnedStrokes.value].reduce(
      ([shown, most], { edges, total }) => [shown + edges.length, most + total],
      [0, 0],
    );
    cut.textContent = drawn < all ? `showing ${formatCount(drawn)} of ${formatCount(all)} edges` : "";
    session.previewed.value;
    session.hoversList.value;
    fitButton.hidden = session.selectedRow.value === null && session.pinnedRows.value.length === 0;
    const inFocus = session.hoveredRow.value ?? session.selectedRow.value;
    element.classList.toggle("ctw-has-focus", strokes.value.edges.length > 0);
    labels.emphasise(inFocus === null ? null : graph.position[inFocus]!);
    schedule("focus");
  });

  function draw(): void {
    frame = 0;
    const current = layout.peek();
    if (!current) return;
    const scene: Scene = { graph, layout: current, viewport: viewport.peek(), palette: palette.peek() };
    const ratio = devicePixelRatio;
    if (dirty.has("edges")) drawEdges(scene, ratio);
    if (dirty.has("nodes")) {
      prepare(nodesContext, current, ratio);
      painter.paint(nodesContext, scene, ratio);
      underline(nodesContext, scene, session.unmatchedRows.peek());
      labels.place(current, scene.viewport, radiusAt(scene));
    }
    if (dirty.has("focus")) {
      prepare(focusContext, current, ratio);
      drawFocus(focusContext, scene);
      placeTooltip(scene);
    }
    dirty.clear();
  }

  function drawEdges(scene: Scene, ratio: number): void {
    prepare(edgesContext, scene.layout, ratio);
    paintGrid(edgesContext, scene);
    const drawn = density.viewport;
    if (!drawn) return;
    // While the window moves, the last bitmap moves with it.
    const stretch = scene.viewport.scale / drawn.scale;
    const { width, height } = scene.layout;
    const x = scene.viewport.x - drawn.x * stretch;
    const y = scene.viewport.y - drawn.y * stretch;
    edgesContext.drawImage(density.bitmap, x, y, width * stretch, height * stretch);
  }

  function drawFocus(pen: Pen, scene: Scene): void {
    const [hovered, selected] = [session.hoveredRow.peek(), session.selectedRow.peek()];
    const pointed = session.hoversList.peek() ? hovered : null;
    const pinned = session.pinnedRows.peek();
    const [{ edges }, { edges: among }] = [strokes.peek(), pinnedStrokes.peek()];
    const inFocus = hovered ?? selected;
    const same = [...session.previewed.peek(), ...(inFocus === null ? [] : sameFeature(graph, inFocus))].filter(
      (row) => row !== hovered && row !== selected,
    );
    paintFocus(pen, scene, { edges, among, pointed, hovered, selected, pinned, same });
  }

  function placeTooltip(scene: Scene): void {
    const hovered = session.hoveredRow.peek();
    const [x, y] = hovered === null ? [Number.NaN, Number.NaN] : placeOf(scene, hovered);
    tooltip.show(Number.isNaN(x) ? null : hovered, x, y, scene.layout);
  }

  /** What the canvases and their labels show, as SVG. */
  function drawing(): string {
    const current = layout.peek()!;
    const scene: Scene = { graph, layout: current, viewport: viewport.peek(), palette: palette.peek() };
    const { width, height } = current;
    const parts = [
      vector((pen) => paintGrid(pen, scene)),
      s("image", { href: density.bitmap.toDataURL(), width, height }),
      vector((pen) => {
        paintNodes(pen, scene);
        underline(pen, scene, session.unmatchedRows.peek());
      }),
      vector((pen) => drawFocus(pen, scene)),
    ];
    for (const [i, part] of parts.entries())
      part.setAttribute("opacity", getComputedStyle(canvases[Math.max(0, i - 1)]!).opacity);
    const frame = element.getBoundingClientRect();
    const within = (part: Element): { x: number; y: number } => {
      const { left, top } = part.getBoundingClientRect();
      return { x: left - frame.left, y: top - frame.top };
    };
    const svg = s(
      "svg",
      { viewBox: `0 0 ${frame.width} ${frame.height}`, width: frame.width, height: frame.height },
      s("rect", { width: "100%", height: "100%", fill: css(scene.palette.surface) }),
      s("svg", { ...within(stage), width, height }, ...parts),
      ...labels.placed.map((placed) => textElement(placed, within(placed.element.parentElement!))),
    );
    return new XMLSerializer().serializeToString(svg);
  }

  const nodeAt = (x: number, y: number): number | null => {
    const current = layout.peek();
    const { scale, x: left, y: top } = viewport.peek();
    return current && pick(current, (x - left) / scale, (y - top) / scale, PICK_REACH / scale);
  };
  const zoom = (factor: number, x: number, y: number): void => {
    const { width, height } = size.peek();
    viewport.value = zoomAt(viewport.peek(), factor, x, y, width, height);
  };
  const reset = (): void => {
    viewport.value = WHOLE;
  };
  const zoomToSelection = (): void => {
    const current = layout.peek();
    const row = session.selectedRow.peek();
    // The strokes may be those of a node that is only hovered.
    const tied = focusEdges(graph, row, session.visible.peek(), FIT_EDGES).edges;
    const rows = row === null ? session.pinnedRows.peek() : [row, ...tied.map((edge) => edge.row)];
    if (!current || rows.length === 0) return;
    const [xs, ys] = [rows.map((shown) => current.x[shown]!), rows.map((shown) => current.y[shown]!)];
    const box = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)] as const;
    viewport.value = fitBox(box, current.width, current.height);
  };
  const unfold = (event: MouseEvent): void => {
    const [from, to] = ((event.target as HTMLElement).dataset["open"] ?? "").split(" ").map(Number) as [
      number,
      number?,
    ];
    if (to === undefined) return;
    session.unfold(Array.from({ length: to - from + 1 }, (_, i) => from + i));
  };
  for (const edge of [labels.tokens, labels.layers]) on(edge, "click", unfold, abort);
  live(abort, () => {
    foldButton.hidden = session.open.value.size === 0;
  });
  listenGestures(
    stage,
    {
      hover: (x, y) => session.hover(nodeAt(x, y)),
      leave: () => session.hover(null),
      click: (x, y, isShifted) => {
        const row = nodeAt(x, y);
        if (isShifted && row !== null) session.togglePin(row);
        else session.select(row);
      },
      zoom,
      pan: (dx, dy) => {
        const { width, height } = size.peek();
        viewport.value = panBy(viewport.peek(), dx, dy, width, height);
      },
      reset,
    },
    abort,
  );
  return {
    element,
    stage,
    layout,
    zoom: (factor) => zoom(factor, size.peek().width / 2, size.peek().height / 2),
    zoomToSelection,
    reset,
    save: (kind) => void save(drawing(), kind, "graph"),
  };
}

/** Shown edges, strongest share of their target first. */
function edgesByStrength(session: Session): Int32Array {
  const { edge, edgeCount } = session.pruned.value;
  const kept = new Int32Array(edgeCount);
  let next = 0;
  for (let i = 0; i < edge.length; i++) if (edge[i]) kept[next++] = i;
  return strongestFirst(kept, session.graph.share);
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

export type Measure = (text: string) => number;

/** Width of text in the font of the labels, or in another size (and weight) and family of `element`. */
export function textMeasure(element: HTMLElement, size = "11px", family = "--ctw-mono"): Measure {
  const context = document.createElement("canvas").getContext("2d")!;
  const known = new Map<string, number>();
  return (text) => {
    let width = known.get(text);
    if (known.size === 0) context.font = `${size} ${getComputedStyle(element).getPropertyValue(family)}`;
    if (width === undefined) {
      width = context.measureText(text).width;
      known.set(text, width);
    }
    return width;
  };
}
