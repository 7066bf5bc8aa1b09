/** The subgraph panel: what is pinned as boxes to drag, group and name, and how much of the output it explains. */

import { computed, signal } from "@preact/signals-core";
import { formatCount, formatCounted } from "../../core/format";
import type { Box } from "../../core/graph/subgraph";
import type { Session } from "../../core/graph_widget/session";
import { live } from "../../core/lifetime";
import { BOX_HEIGHT, layoutBoxes, type Places } from "../../core/plot/box_layout";
import { scores } from "../graph/header";
import { button, h, muted, on, onResize, s } from "../parts/dom";
import { editText } from "../parts/edit_text";
import { save, standaloneSvg } from "../parts/export";
import { textMeasure } from "../parts/text_measure";
import { boxElement, boxWidth, edgeElements, MOST_BOX_EDGES } from "./box_figure";
import { createSnapshots } from "./snapshots";

/** Pixels that a press may move and still be a click, and that a key moves a box. */
const STILL = 4;
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
  const { graph, edits, synced } = session;
  const svg = s("svg", { class: "ctw-figure", role: "group", "aria-label": "pinned subgraph" });
  const stage = h("div", { class: "ctw-figure-stage" }, svg);
  const width = signal(0);
  const [measure, bold] = [textMeasure(root), textMeasure(root, "600 11px", "--ctw-sans")];
  /** The box under way by the pointer, before its place is kept. */
  const moving = signal<Places>({});
  const layout = computed(() => {
    const boxes = session.boxes.value;
    const widths = boxes.map((box) => boxWidth(graph, box, measure, bold));
    return layoutBoxes(graph, boxes, widths, width.value, { ...synced.places.value, ...moving.value });
  });
  const resized = (): void => {
    width.value = stage.clientWidth;
  };
  onResize(stage, resized, abort);

  const elementOf = (key: string): SVGGElement | undefined =>
    [...svg.querySelectorAll<SVGGElement>(".ctw-box")].find((element) => element.dataset["key"] === key);
  const boxAt = (target: EventTarget | null): Box | undefined => {
    const key = (target as Element | null)?.closest<SVGGElement>(".ctw-box")?.dataset["key"];
    return session.boxes.peek().find((box) => box.key === key);
  };

  let isRebuilding = false;
  live(abort, () => {
    const { places, height } = layout.value;
    const boxes = session.boxes.value;
    stage.hidden = boxes.length === 0;
    if (width.value === 0) return;
    isRebuilding = true;
    const focused = svg.querySelector<SVGGElement>(":focus")?.dataset["key"];
    const marked = session.marked.value;
    svg.setAttribute("viewBox", `0 0 ${width.value} ${Math.max(1, height)}`);
    svg.setAttribute("width", String(width.value));
    svg.setAttribute("height", String(height));
    svg.replaceChildren(
      ...edgeElements(boxes, session.boxEdges.value, layout.value),
      ...boxes.map((box, i) => boxElement(graph, box, places[i]!, marked.has(box.key))),
    );
    if (focused !== undefined) elementOf(focused)?.focus();
    isRebuilding = false;
  });
  live(abort, () => {
    layout.value;
    session.marked.value;
    const [selected, hovered] = [session.selectedRow.value, session.hoveredRow.value];
    const boxes = session.boxes.value;
    const pointed = new Set<string>();
    boxes.forEach(({ key, rows }, i) => {
      const element = elementOf(key);
      element?.classList.toggle("ctw-box-selected", selected !== null && rows.includes(selected));
      element?.classList.toggle("ctw-box-hovered", hovered !== null && rows.includes(hovered));
      if (hovered !== null && rows.includes(hovered)) pointed.add(String(i));
    });
    for (const edge of svg.querySelectorAll<SVGGElement>(".ctw-box-edge")) {
      const touches = edge.dataset["ends"]!.split(" ").some((end) => pointed.has(end));
      edge.classList.toggle("ctw-box-faded", pointed.size > 0 && !touches);
    }
  });

  const rename = (box: Box): void => {
    const place = layout.value.places[session.boxes.value.findIndex(({ key }) => key === box.key)];
    if (!place) return;
    const done = (text: string | null): void => {
      if (text !== null) edits.rename(box, text);
      elementOf(box.key)?.focus();
    };
    const name = box.group === null ? "Label of the node" : "Name of the supernode";
    const { input, start } = editText({ text: box.name, name, done }, abort);
    const wide = Math.min(Math.max(140, place.width), width.value);
    input.style.width = `${wide}px`;
    input.style.left = `${Math.min(width.value - wide, Math.max(0, place.x - wide / 2))}px`;
    input.style.top = `${place.y - BOX_HEIGHT / 2}px`;
    stage.append(input);
    start();
  };
  const group = (): void => {
    const made = session.group();
    const box = session.boxes.value.find(({ key }) => key === made);
    if (box) rename(box);
  };
  listenPointer(svg, session, { boxAt, moving, layout: () => layout.peek(), width: () => width.peek(), rename }, abort);
  const focused = (event: Event): void => {
    const box = boxAt(event.target);
    if (box && !isRebuilding) session.select(box.rows[0]!);
  };
  on(svg, "focusin", focused, abort);

  const key = (event: KeyboardEvent, target: Element): boolean => {
    const box = boxAt(target);
    if (!box) return false;
    const boxes = session.boxes.peek();
    const i = boxes.findIndex((other) => other.key === box.key);
    const step = DIRECTIONS[event.key];
    if (step && event.shiftKey) {
      const { x, y } = layout.peek().places[i]!;
      edits.place(box, (x + NUDGE * step[0]) / width.peek(), y + NUDGE * step[1]);
    } else if (step) {
      const next = boxes[i + step[0] + step[1]];
      if (next) elementOf(next.key)?.focus();
    } else if (event.key === "Enter" || event.key === "F2") rename(box);
    else if (event.key === " ") session.toggleMark(box);
    else return false;
    return true;
  };
  const saveFigure = (kind: "svg" | "png"): void =>
    void save(standaloneSvg(svg, getComputedStyle(stage).backgroundColor), kind, "subgraph");
  const element = h(
    "section",
    { class: "ctw-subgraph", "aria-label": "subgraph" },
    createBar(session, { group, save: saveFigure }, abort),
    createSnapshots(session, leave, abort),
    stage,
  );
  return { element, group, key };
}

interface Hands {
  boxAt(target: EventTarget | null): Box | undefined;
  readonly moving: { value: Places };
  layout(): { readonly places: readonly { readonly x: number; readonly y: number }[] };
  width(): number;
  rename(box: Box): void;
}

/** Click selects, with Shift marks, a drag moves, a double click renames. */
function listenPointer(svg: SVGSVGElement, session: Session, hands: Hands, abort: AbortSignal): void {
  let pressed: { box: Box; x: number; y: number; left: number; top: number; isDrag: boolean } | null = null;
  const down = (event: PointerEvent): void => {
    const box = hands.boxAt(event.target);
    if (!box || event.button !== 0) return;
    const place = hands.layout().places[session.boxes.peek().findIndex(({ key }) => key === box.key)]!;
    pressed = { box, x: event.clientX, y: event.clientY, left: place.x, top: place.y, isDrag: false };
  };
  const point = (box: Box | undefined): void => {
    session.hover(box?.rows[0] ?? null);
    session.previewed.value = box?.rows ?? [];
  };
  const move = (event: PointerEvent): void => {
    if (!pressed) point(hands.boxAt(event.target));
    if (!pressed || event.buttons === 0) return;
    const [dx, dy] = [event.clientX - pressed.x, event.clientY - pressed.y];
    if (!pressed.isDrag && Math.hypot(dx, dy) < STILL) return;
    if (!pressed.isDrag) svg.setPointerCapture(event.pointerId);
    pressed.isDrag = true;
    hands.moving.value = { [pressed.box.key]: [(pressed.left + dx) / hands.width(), pressed.top + dy] };
  };
  const up = (event: PointerEvent): void => {
    if (!pressed) return;
    const { box, isDrag } = pressed;
    pressed = null;
    const put = hands.moving.value[box.key];
    if (isDrag && put) session.edits.place(box, Math.max(0, Math.min(1, put[0])), Math.max(BOX_HEIGHT / 2, put[1]));
    else if (event.shiftKey) session.toggleMark(box);
    else session.select(box.rows[0]!);
    // A new value draws the boxes anew, and a click on one that is gone would not become a double click.
    if (isDrag) hands.moving.value = {};
  };
  const cancel = (): void => {
    pressed = null;
    hands.moving.value = {};
  };
  const twice = (event: MouseEvent): void => {
    const box = hands.boxAt(event.target);
    if (box) hands.rename(box);
  };
  on(svg, "pointerdown", down, abort);
  on(svg, "pointermove", move, abort);
  on(svg, "pointerup", up, abort);
  on(svg, "pointercancel", cancel, abort);
  on(svg, "pointerleave", () => point(undefined), abort);
  on(svg, "dblclick", twice, abort);
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
