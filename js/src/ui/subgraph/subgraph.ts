/** The subgraph panel: what is pinned as boxes to drag, group and name, and how much of the output it explains. */

import { formatCount, formatCounted } from "../../core/format";
import type { Session } from "../../core/graph_widget/session";
import { live } from "../../core/lifetime";
import { scores } from "../graph/header";
import { button, h, muted } from "../parts/dom";
import { save, standaloneSvg } from "../parts/export";
import { MOST_BOX_EDGES } from "./box_figure";
import { BoxFigure, listenPointer } from "./figure";
import { createSnapshots } from "./snapshots";

/** Pixels that a key moves a box. */
const NUDGE = 12;
const DIRECTIONS: Record<string, readonly [x: number, y: number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

export interface Subgraph {
  readonly element: HTMLElement;
  /** Group what is marked, or all that is single, and ask for a name. */
  group(): void;
  /** What a key does to the box that has the focus; false if nothing. */
  key(event: KeyboardEvent, target: Element): boolean;
}

/** `root` has the fonts; `leave` takes the focus when something was typed that no box can take it for. */
export function createSubgraph(session: Session, root: HTMLElement, leave: () => void, abort: AbortSignal): Subgraph {
  const figure = new BoxFigure(session, root, abort);
  listenPointer(figure, abort);
  const group = (): void => {
    const made = session.group();
    const box = session.boxes.value.find(({ key }) => key === made);
    if (box) figure.rename(box);
  };
  const saveFigure = (kind: "svg" | "png"): void =>
    void save(standaloneSvg(figure.svg, getComputedStyle(figure.stage).backgroundColor), kind, "subgraph");
  const element = h(
    "section",
    { class: "ctw-subgraph", "aria-label": "subgraph" },
    createBar(session, { group, save: saveFigure }, abort),
    createSnapshots(session, leave, abort),
    figure.stage,
  );
  return { element, group, key: (event, target) => pressKey(figure, event, target) };
}

/** Arrow keys go from box to box, with Shift they move it; Enter names it, Space marks it. */
function pressKey(figure: BoxFigure, event: KeyboardEvent, target: Element): boolean {
  const { session } = figure;
  const box = figure.boxAt(target);
  const place = box && figure.placeOf(box);
  if (!box || !place) return false;
  const step = DIRECTIONS[event.key];
  if (step && event.shiftKey) {
    session.edits.place(box, (place.x + NUDGE * step[0]) / figure.width.peek(), place.y + NUDGE * step[1]);
  } else if (step) {
    const next = session.boxes.peek()[place.index + step[0] + step[1]];
    if (next) figure.elementOf(next.key)?.focus();
  } else if (event.key === "Enter" || event.key === "F2") figure.rename(box);
  else if (event.key === " ") session.toggleMark(box);
  else return false;
  return true;
}

interface BarActions {
  group(): void;
  save(kind: "svg" | "png"): void;
}

/** Title, counts, scores and buttons; or what to do first. */
function createBar(session: Session, { group, save }: BarActions, abort: AbortSignal): HTMLElement {
  const { boxes, edits, synced } = session;
  const facts = h("span", { class: "ctw-subgraph-facts" });
  const action = (text: string, title: string, press: () => void, isUseful: () => boolean): HTMLElement => {
    const element = button(text, title, abort, press);
    live(abort, () => {
      element.disabled = !isUseful();
    });
    return element;
  };
  const hasBoxes = (): boolean => boxes.value.length > 0;
  const buttons = h(
    "span",
    { class: "ctw-buttons" },
    ...(session.ask ? [button("Suggest", "Supernodes to accept or reject", abort, () => session.suggest())] : []),
    action("Group", "What is marked, or all single boxes (G)", group, () => boxes.value.length > 1),
    action(
      "Ungroup",
      "What is marked or selected (Shift+G)",
      () => session.ungroup(),
      () => synced.supernodes.value.length > 0,
    ),
    action(
      "Tidy",
      "Back to the automatic layout",
      () => edits.tidy(),
      () => Object.keys(synced.places.value).length > 0,
    ),
    action(
      "Undo",
      "(Ctrl or Cmd+Z)",
      () => edits.undo(),
      () => edits.canUndo.value,
    ),
    action(
      "Redo",
      "(Ctrl or Cmd+Shift+Z)",
      () => edits.redo(),
      () => edits.canRedo.value,
    ),
    ...(["svg", "png"] as const).map((kind) =>
      action(kind.toUpperCase(), "Download this figure", () => save(kind), hasBoxes),
    ),
  );
  live(abort, () => facts.replaceChildren(...(hasBoxes() ? summary(session) : empty())));
  return h("div", { class: "ctw-subgraph-bar" }, h("h3", { class: "ctw-subgraph-title" }, "Subgraph"), facts, buttons);
}

function empty(): HTMLElement[] {
  return [muted("is empty: select a node and press P to collect it here.")];
}

function summary(session: Session): HTMLElement[] {
  const [boxes, edges, rows] = [session.boxes.value, session.boxEdges.value, session.pinnedRows.value];
  const counts =
    `${formatCounted(rows.length, "node")} in ${formatCounted(boxes.length, "box", "boxes")}` +
    (edges.length > MOST_BOX_EDGES ? `, showing ${MOST_BOX_EDGES} of ${formatCount(edges.length)} edges` : "");
  return [
    muted(counts),
    scores(session.subgraphScores.value, " if all other nodes count as error"),
    ...(boxes.length > 1 ? [muted("Shift+click or Space marks boxes, G groups")] : []),
  ];
}
