/** Everything the mouse does, from the keyboard. */

import { type Direction, strongest } from "../../core/graph/connections";
import type { Session } from "../../core/graph_widget/session";
import { type Step, walk } from "../../core/plot/picking";
import type { Plot } from "../plot/plot";
import type { Subgraph } from "../subgraph/subgraph";
import type { Panel } from "./panel";
import type { Search } from "./search";

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
  const current = (run: (row: number) => void) => (): void => {
    const row = session.described.peek();
    if (row !== null) run(row);
  };
  const follow = (direction: Direction): (() => void) =>
    current((row) => moveTo(strongest(session.graph, row, direction, session.visible.peek())));
  const zoom = (factor: number) => (): void => plot.state.zoom(factor);
  const release = (): boolean => {
    if (document.fullscreenElement && session.synced.selected.peek() === null) return false;
    session.hover(null);
    if (session.selectedRow.peek() === null) session.synced.pathEnds.value = [];
    session.select(null);
    return true;
  };
  /** By key, as it is or in lower case; what gives back false leaves the key to others. */
  const actions: Record<string, () => unknown> = {
    "[": follow("inputs"),
    "]": follow("outputs"),
    "/": search.open,
    "+": zoom(ZOOM_STEP),
    "=": zoom(ZOOM_STEP),
    "-": zoom(1 / ZOOM_STEP),
    "0": () => plot.state.reset(),
    Escape: release,
    G: () => session.ungroup(),
    e: () => session.unfold(),
    g: subgraph.group,
    l: panel.label,
    p: current((row) => session.togglePin(row)),
    t: current((row) => session.toggleEnd(row)),
    z: () => plot.state.zoomToSelection(),
  };
  const act = (key: string): boolean => {
    const step = STEPS[key];
    const layout = plot.state.layout.peek();
    if (step && layout) moveTo(walk(layout, session.described.peek(), step));
    const action = actions[key] ?? actions[key.toLowerCase()];
    return action ? action() !== false : step !== undefined;
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
