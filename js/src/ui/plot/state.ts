/** What the plot shows: where its nodes stand, which window onto them is open, and which edges are strokes. */

import { computed, type ReadonlySignal, signal } from "@preact/signals-core";
import { connectionOf, edgesAmong, focusEdges, type Strokes } from "../../core/graph/connections";
import { sameFeature } from "../../core/graph/graph";
import { strongestFirst } from "../../core/graph/order";
import type { Session } from "../../core/graph_widget/session";
import { type Layout, layoutGraph } from "../../core/plot/layout";
import { pick } from "../../core/plot/picking";
import { fitBox, panBy, resize, type Viewport, WHOLE, zoomAt } from "../../core/plot/viewport";
import type { Measure } from "../parts/text_measure";
import { logitText, tokenText } from "./labels";
import type { Focus } from "./paint";

/** Strokes at most; the rest of a hub's edges stays in the density bitmap. */
const MOST_STROKES = 500;
const PICK_REACH = 12;
/** Of the edges of the selected node, those whose ends zooming to it shows. */
const FIT_EDGES = 12;

export class PlotState {
  readonly size = signal({ width: 0, height: 0 });
  readonly viewport = signal<Viewport>(WHOLE);
  /** Null before the plot has a size. */
  readonly layout: ReadonlySignal<Layout | null>;
  /** Shown edges, strongest share of their target first. */
  readonly edges: ReadonlySignal<Int32Array>;
  /** Edges of the node in focus, or of the paths that somebody asked for. */
  readonly strokes: ReadonlySignal<Strokes>;
  readonly pinnedStrokes: ReadonlySignal<Strokes>;

  constructor(
    readonly session: Session,
    measure: Measure,
  ) {
    const { graph } = session;
    this.layout = computed(() => {
      const { width, height } = this.size.value;
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
    this.edges = computed(() => edgesByStrength(session));
    const focusRow = computed(() => {
      const [hovered, selected] = [session.hoveredRow.value, session.selectedRow.value];
      // From a list of connections, hovering points at one of them instead of showing another node's.
      return session.hoversList.value ? (selected ?? hovered) : (hovered ?? selected);
    });
    this.strokes = computed(() => strokesOf(session, focusRow));
    this.pinnedStrokes = computed(() => edgesAmong(graph, session.pinnedRows.value, MOST_STROKES));
  }

  /** The stage is so large now; the window keeps showing the same part. */
  resize(width: number, height: number): void {
    const before = this.size.peek();
    if (width === before.width && height === before.height) return;
    if (before.width > 0 && width > 0)
      this.viewport.value = resize(this.viewport.peek(), before.width, before.height, width, height);
    this.size.value = { width, height };
  }

  /** The node at a point of the stage, or near it. */
  nodeAt(x: number, y: number): number | null {
    const layout = this.layout.peek();
    const { scale, x: left, y: top } = this.viewport.peek();
    return layout && pick(layout, (x - left) / scale, (y - top) / scale, PICK_REACH / scale);
  }

  zoom(factor: number, x = this.size.peek().width / 2, y = this.size.peek().height / 2): void {
    const { width, height } = this.size.peek();
    this.viewport.value = zoomAt(this.viewport.peek(), factor, x, y, width, height);
  }

  pan(dx: number, dy: number): void {
    const { width, height } = this.size.peek();
    this.viewport.value = panBy(this.viewport.peek(), dx, dy, width, height);
  }

  reset(): void {
    this.viewport.value = WHOLE;
  }

  /** Show the selected node with its strongest connections, or the pinned nodes. */
  zoomToSelection(): void {
    const { session } = this;
    const layout = this.layout.peek();
    const row = session.selectedRow.peek();
    // The strokes may be those of a node that is only hovered.
    const tied = focusEdges(session.graph, row, session.visible.peek(), FIT_EDGES).edges;
    const rows = row === null ? session.pinnedRows.peek() : [row, ...tied.map((edge) => edge.row)];
    if (!layout || rows.length === 0) return;
    const [xs, ys] = [rows.map((shown) => layout.x[shown]!), rows.map((shown) => layout.y[shown]!)];
    const box = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)] as const;
    this.viewport.value = fitBox(box, layout.width, layout.height);
  }

  /** What the layer above the nodes shows now. */
  focus(): Focus {
    const { session } = this;
    const [hovered, selected] = [session.hoveredRow.peek(), session.selectedRow.peek()];
    const inFocus = hovered ?? selected;
    const same = [...session.previewed.peek(), ...(inFocus === null ? [] : sameFeature(session.graph, inFocus))];
    return {
      edges: this.strokes.peek().edges,
      among: this.pinnedStrokes.peek().edges,
      pointed: session.hoversList.peek() ? hovered : null,
      hovered,
      selected,
      pinned: session.pinnedRows.peek(),
      same: same.filter((row) => row !== hovered && row !== selected),
    };
  }
}

/** Edges of the node `row`, or of the paths that somebody asked for, which yield only to what is hovered in the plot. */
function strokesOf(session: Session, row: ReadonlySignal<number | null>): Strokes {
  const { graph } = session;
  const { paths } = session.paths.value;
  if (paths.length === 0 || (session.hoveredRow.value !== null && !session.hoversList.value))
    return focusEdges(graph, row.value, session.visible.value, MOST_STROKES);
  const pointed = paths[session.pointedPath.value ?? -1];
  const drawn = pointed ? [pointed] : paths;
  const edges = [...new Set(drawn.flatMap((path) => path.edges))].map((edge) =>
    connectionOf(graph, edge, graph.target[edge]!),
  );
  return { edges, total: edges.length };
}

function edgesByStrength(session: Session): Int32Array {
  const { edge, edgeCount } = session.pruned.value;
  const kept = new Int32Array(edgeCount);
  let next = 0;
  for (let i = 0; i < edge.length; i++) if (edge[i]) kept[next++] = i;
  return strongestFirst(kept, session.graph.share);
}
