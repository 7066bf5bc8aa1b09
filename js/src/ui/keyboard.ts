/** Everything the mouse does, from the keyboard. */

import { strongest } from "../core/connections";
import { type Step, walk } from "../core/picking";
import type { Session } from "../core/session";
import type { Panel } from "./panel";
import type { Plot } from "./plot";
import type { Search } from "./search";
import type { Subgraph } from "./subgraph";

const STEPS: Record<string, Step> = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" };
const ZOOM_STEP = 1.4;

export interface Parts {
  readonly plot: Plot;
  readonly panel: Panel;
  readonly subgraph: Subgraph;
  readonly search: Search;
}

export function listenKeys(
  root: HTMLElement,
  { plot, panel, subgraph, search }: Parts,
  session: Session,
  abort: AbortSignal,
): void {
  const moveTo = (row: number | null): void => {
    if (row === null) return;
    session.hover(null);
    session.select(row);
  };
  const act = (key: string): boolean => {
    const layout = plot.layout.peek();
    const current = session.described.peek();
    const step = STEPS[key];
    const low = key.toLowerCase();
    if (step !== undefined) {
      if (layout) moveTo(walk(layout, current, step));
    } else if (key === "[" || key === "]") {
      if (current !== null)
        moveTo(strongest(session.graph, current, key === "[" ? "inputs" : "outputs", session.visible.peek()));
    } else if (key === "g") subgraph.group();
    else if (key === "G") session.ungroup();
    else if (low === "l") panel.label();
    else if (key === "/") search.open();
    else if (key === "Escape") {
      if (document.fullscreenElement && session.synced.selected.peek() === null) return false;
      session.hover(null);
      if (session.selectedRow.peek() === null) session.synced.pathEnds.value = [];
      session.select(null);
    } else if (key === "+" || key === "=") plot.zoom(ZOOM_STEP);
    else if (key === "-") plot.zoom(1 / ZOOM_STEP);
    else if (key === "0") plot.reset();
    else if (low === "z") plot.zoomToSelection();
    else if (low === "e") session.unfold();
    else if ((low === "p" || low === "t") && current !== null) {
      if (low === "p") session.togglePin(current);
      else session.toggleEnd(current);
    } else return false;
    return true;
  };
  const handle = (event: KeyboardEvent): void => {
    const [target] = event.composedPath();
    if (!(target instanceof Element) || !root.contains(target) || event.altKey) return;
    if (target instanceof HTMLInputElement && target.type === "text") return;
    if (event.ctrlKey || event.metaKey) {
      if (event.key.toLowerCase() !== "z") return;
      if (event.shiftKey) session.edits.redo();
      else session.edits.undo();
      event.preventDefault();
      event.stopPropagation();
      return;
    }
    if (target instanceof HTMLInputElement) {
      // The slider moves by itself; the notebook must not take the arrow as "next cell".
      if (event.key in STEPS || event.key === "Home" || event.key === "End") event.stopPropagation();
      return;
    }
    const isButton = target instanceof HTMLButtonElement;
    if (isButton && (event.key === "Enter" || event.key === " ")) {
      event.stopPropagation();
      return;
    }
    if (subgraph.key(event, target) || act(event.key)) {
      event.preventDefault();
      event.stopPropagation();
    }
  };
  // At the window and before all others, because JupyterLab's shortcuts listen on the document in the capture phase.
  window.addEventListener("keydown", handle, { capture: true, signal: abort });
}
