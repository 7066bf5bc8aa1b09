/** Keys of the graph widget: everything that the mouse does there. */

import { type Direction, strongest } from "../../core/graph/connections";
import type { Session } from "../../core/graph_widget/session";
import { type Step, walk } from "../../core/plot/picking";
import { onKeys, take } from "../parts/keys";
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

/** Let keys pressed in `root` do what they say in the legend, until `abort`. */
export function listenKeys(root: HTMLElement, parts: Parts, session: Session, abort: AbortSignal): void {
  const actions = actionsOf(parts, session);
  const act = (key: string): boolean => {
    const step = STEPS[key];
    const layout = parts.plot.state.layout.peek();
    if (step && layout) moveTo(session, walk(layout, session.described.peek(), step));
    const action = actions[key] ?? actions[key.toLowerCase()];
    return action ? action() !== false : step !== undefined;
  };
  const handle = (event: KeyboardEvent, target: Element): void => {
    if (target instanceof HTMLInputElement && target.type === "text") return;
    if (event.ctrlKey || event.metaKey) {
      if (event.key.toLowerCase() !== "z") return;
      if (event.shiftKey) session.edits.redo();
      else session.edits.undo();
      take(event);
    } else if (target instanceof HTMLInputElement) {
      // The slider moves by itself; the notebook must not take the arrow as "next cell".
      if (event.key in STEPS || event.key === "Home" || event.key === "End") event.stopPropagation();
    } else if (target instanceof HTMLButtonElement && (event.key === "Enter" || event.key === " ")) {
      event.stopPropagation();
    } else if (parts.subgraph.key(event, target) || act(event.key)) take(event);
  };
  onKeys(root, handle, abort);
}

function moveTo(session: Session, row: number | null): void {
  if (row === null) return;
  session.hover(null);
  session.select(row);
}

/** What keys do, by key, as it is or in lower case; what gives back false leaves the key to others. */
function actionsOf({ plot, panel, subgraph, search }: Parts, session: Session): Record<string, () => unknown> {
  const current = (run: (row: number) => void) => (): void => {
    const row = session.described.peek();
    if (row !== null) run(row);
  };
  const follow = (direction: Direction): (() => void) =>
    current((row) => moveTo(session, strongest(session.graph, row, direction, session.visible.peek())));
  const zoom = (factor: number) => (): void => plot.state.zoom(factor);
  const release = (): boolean => {
    if (document.fullscreenElement && session.synced.selected.peek() === null) return false;
    session.hover(null);
    if (session.selectedRow.peek() === null) session.synced.pathEnds.value = [];
    session.select(null);
    return true;
  };
  return {
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
}
