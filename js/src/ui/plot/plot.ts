/** The plot of a graph: three canvases (`layers.ts`) under DOM labels, in step with the session and the hand. */

import type { ReadonlySignal } from "@preact/signals-core";
import { formatCount } from "../../core/format";
import type { Session } from "../../core/graph_widget/session";
import { live } from "../../core/lifetime";
import type { Palette } from "../../core/palette";
import { button, h, muted, on, onResize } from "../parts/dom";
import { save } from "../parts/export";
import { textMeasure } from "../parts/text_measure";
import { listenGestures } from "./gestures";
import { PlotLabels } from "./labels";
import { LAYERS, PlotLayers } from "./layers";
import { plotPicture } from "./picture";
import { PlotState } from "./state";
import { Tooltip } from "./tooltip";

const MOST_WIDE_SCALE = 1e-3;

export interface Plot {
  readonly element: HTMLElement;
  /** What keys go to. */
  readonly stage: HTMLElement;
  readonly state: PlotState;
  /** Give the browser the plot as a file. */
  save(kind: "svg" | "png"): void;
}

export function createPlot(session: Session, palette: ReadonlySignal<Palette>, abort: AbortSignal): Plot {
  const stage = h("div", { class: "ctw-stage", tabindex: 0, role: "application" });
  const measure = textMeasure(stage);
  const labels = new PlotLabels(session.graph, measure);
  const tooltip = new Tooltip(session);
  const state = new PlotState(session, measure);
  const layers = new PlotLayers(state, palette, labels, tooltip, abort);
  const element = h("div", { class: "ctw-plot" }, labels.layers, stage, h("div"), labels.tokens);
  stage.append(...layers.canvases, labels.logits, tooltip.element, createCorner(state, abort));
  onResize(stage, () => state.resize(stage.clientWidth, stage.clientHeight), abort);
  redraw(layers, element, abort);
  const unfold = (event: MouseEvent): void => unfoldAt(event.target as HTMLElement, session);
  for (const edge of [labels.tokens, labels.layers]) on(edge, "click", unfold, abort);
  listenGestures(
    stage,
    {
      hover: (x, y) => session.hover(state.nodeAt(x, y)),
      leave: () => session.hover(null),
      click: (x, y, isShifted) => {
        const row = state.nodeAt(x, y);
        if (isShifted && row !== null) session.togglePin(row);
        else session.select(row);
      },
      zoom: (factor, x, y) => state.zoom(factor, x, y),
      pan: (dx, dy) => state.pan(dx, dy),
      reset: () => state.reset(),
    },
    abort,
  );
  return { element, stage, state, save: (kind) => void save(plotPicture(layers, element, stage), kind, "graph") };
}

/** Buttons in the corner of the stage, each there while it is of use, and how many edges are not strokes. */
function createCorner(state: PlotState, abort: AbortSignal): HTMLElement {
  const { session } = state;
  const fold = button("Fold", "(E)", abort, () => session.unfold());
  const fit = button("Zoom to selection", "(Z)", abort, () => state.zoomToSelection());
  const reset = button("Reset zoom", "(0)", abort, () => state.reset());
  const cut = muted();
  live(abort, () => {
    fold.hidden = session.open.value.size === 0;
  });
  live(abort, () => {
    fit.hidden = session.selectedRow.value === null && session.pinnedRows.value.length === 0;
  });
  live(abort, () => {
    reset.hidden = !isZoomed(state);
  });
  live(abort, () => {
    const all = [state.strokes.value, state.pinnedStrokes.value];
    const drawn = all.reduce((sum, { edges }) => sum + edges.length, 0);
    const total = all.reduce((sum, strokes) => sum + strokes.total, 0);
    cut.textContent = drawn < total ? `showing ${formatCount(drawn)} of ${formatCount(total)} edges` : "";
  });
  return h("div", { class: "ctw-corner" }, fold, fit, reset, cut);
}

function isZoomed({ viewport }: PlotState): boolean {
  return viewport.value.scale > 1 + MOST_WIDE_SCALE;
}

/** Draw what changes, until `abort`. */
function redraw(layers: PlotLayers, element: HTMLElement, abort: AbortSignal): void {
  const { state, palette, labels } = layers;
  const { session } = state;
  live(abort, () => {
    session.pruned.value;
    palette.value;
    const layout = state.layout.value;
    if (!layout) return;
    labels.build(layout, session.folds.peek());
    layers.startDensity();
    layers.schedule(...LAYERS);
  });
  live(abort, () => {
    session.unmatchedRows.value;
    layers.schedule("nodes");
  });
  live(abort, () => {
    element.classList.toggle("ctw-zoomed", isZoomed(state));
    layers.schedule(...LAYERS);
    layers.settleDensity();
  });
  live(abort, () => {
    state.pinnedStrokes.value;
    session.previewed.value;
    session.hoversList.value;
    const inFocus = session.hoveredRow.value ?? session.selectedRow.value;
    element.classList.toggle("ctw-has-focus", state.strokes.value.edges.length > 0);
    labels.emphasise(inFocus === null ? null : session.graph.position[inFocus]!);
    layers.schedule("focus");
  });
}

/** Open the tokens or layers that a folded label stands for. */
function unfoldAt(target: HTMLElement, session: Session): void {
  const [from, to] = (target.dataset["open"] ?? "").split(" ").map(Number) as [number, number?];
  if (to === undefined) return;
  session.unfold(Array.from({ length: to - from + 1 }, (_, i) => from + i));
}
