/** One view of a graph: header, plot, panel, sliders, put together and kept in step with the session. */

import { formatCount, visibleToken } from "../../core/format";
import { speak } from "../../core/graph/describe";
import type { Session } from "../../core/graph_widget/session";
import { live } from "../../core/lifetime";
import { button, h, muted } from "../parts/dom";
import { errorView, mountRoot } from "../parts/mount";
import { slider } from "../parts/slider";
import { followTheme } from "../parts/theme";
import { createPlot, type Plot } from "../plot/plot";
import { createSubgraph } from "../subgraph/subgraph";
import { createHeader } from "./header";
import { listenKeys } from "./keyboard";
import { createLegend } from "./legend";
import { createPanel } from "./panel";
import type { PanelHost } from "./panel_slot";
import { createPaths } from "./paths";
import { createSearch } from "./search";
import { createSuggestions } from "./suggestions";

const ROW_HEIGHT = 54;
const SMALLEST_STAGE = 420;
const LARGEST_STAGE = 600;

/** Fill `el` with the graph as soon as it has a size (a notebook may render before it shows), until `abort`. */
export function mountGraph(el: HTMLElement, session: Session, abort: AbortSignal, host?: PanelHost): void {
  mountRoot(el, "ctw ctw-graph", (root) => build(root, session, abort, host), abort);
}

export const mountError = errorView("ctw-graph", "This graph");

function build(root: HTMLElement, session: Session, abort: AbortSignal, host?: PanelHost): void {
  const { graph, synced } = session;
  const palette = followTheme(root, synced.theme, abort);
  const rows = graph.nLayers + 2;
  root.style.setProperty(
    "--ctw-stage-height",
    `${Math.min(LARGEST_STAGE, Math.max(SMALLEST_STAGE, rows * ROW_HEIGHT))}px`,
  );

  const plot = createPlot(session, palette, abort);
  const legend = createLegend();
  const search = createSearch(session, () => plot.stage.focus(), abort);
  const panel = createPanel(session, () => plot.stage.focus(), abort, host);
  const header = createHeader(
    session,
    {
      legend: () => !legend.toggleAttribute("hidden"),
      search: search.toggle,
      tall: () => root.classList.toggle("ctw-tall"),
      fullScreen: document.fullscreenEnabled ? () => toggleFullScreen(root) : null,
    },
    abort,
  );
  const subgraph = createSubgraph(session, root, () => plot.stage.focus(), abort);
  const status = h("div", { class: "ctw-spoken", role: "status" });
  const help = "Arrow keys walk the nodes, [ and ] follow the strongest input and output; the legend lists all keys.";
  plot.stage.setAttribute("aria-label", `Attribution graph of ${visibleToken(graph.prompt, 200)}. ${help}`);
  listenKeys(root, { plot, panel, subgraph, search }, session, abort);
  live(abort, () => {
    const row = session.selectedRow.value;
    const pin = row !== null && session.isPinned(row) ? ", pinned" : "";
    status.textContent = row === null ? "" : speak(graph, row, synced.labels.value).join(", ") + pin;
  });
  const strips = [search.element, createPaths(session, abort), createSuggestions(session, abort)];
  const body = h("div", { class: "ctw-body" }, plot.element, panel.element);
  root.append(header, ...strips, legend, body, createFooter(session, plot.save, abort), subgraph.element, status);
}

function createFooter(session: Session, save: Plot["save"], abort: AbortSignal): HTMLElement {
  const { graph, synced, pruned } = session;
  const footer = h(
    "footer",
    { class: "ctw-footer" },
    slider(
      {
        name: "nodes",
        title: "The fewest nodes that carry this share of the influence on the output",
        value: synced.nodeThreshold,
        result: () => `${formatCount(pruned.value.nodeCount)} of ${formatCount(graph.total.nodes)}`,
      },
      abort,
    ),
    slider(
      {
        name: "edges",
        title: "The fewest edges between them that carry this share of it",
        value: synced.edgeThreshold,
        result: () => `${formatCount(pruned.value.edgeCount)} of ${formatCount(graph.total.edges)}`,
      },
      abort,
    ),
  );
  if (graph.n < graph.total.nodes || graph.e < graph.total.edges) {
    const [nodes, edges] = [formatCount(graph.n), formatCount(graph.e)];
    footer.append(muted(`holds the strongest ${nodes} nodes and ${edges} edges`));
  }
  const kinds = ["svg", "png"] as const;
  const buttons = kinds.map((kind) => button(kind.toUpperCase(), "Download the plot", abort, () => save(kind)));
  footer.append(h("span", { class: "ctw-buttons ctw-end" }, ...buttons));
  return footer;
}

function toggleFullScreen(root: HTMLElement): void {
  if (document.fullscreenElement) void document.exitFullscreen();
  else void root.requestFullscreen();
}
