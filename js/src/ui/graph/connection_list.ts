/** Inputs or outputs of a node as rows that hover and select the node at the other end. */

import { formatCount, formatFraction, formatNumber, formatShare, formatWeight } from "../../core/format";
import { type Connection, connectionOf, type Direction, edgesOf } from "../../core/graph/connections";
import { nodeName, whereOf } from "../../core/graph/describe";
import { EMBEDDING, type Graph, LOGIT, strengthOf } from "../../core/graph/graph";
import type { Session } from "../../core/graph_widget/session";
import { h, muted, on, pressable } from "../parts/dom";
import { shapeIcon } from "../parts/shapes";

/** Height of a row in graph.css. */
const ROW_HEIGHT = 20;
/** Rows that exist at a time; they are made anew whenever so many more were scrolled, with as many above the sight. */
const ROWS = 60;
const STEP = 10;

/** A part of the panel that scrolls by itself, also from the keyboard. */
export function scrolling(name: string, ...children: HTMLElement[]): HTMLElement {
  return h("section", { class: "ctw-scroll", tabindex: 0, "aria-label": name }, ...children);
}

/** A list of `count` rows inside `scroller`, of which only those near what is in sight exist. */
export function rowList(scroller: HTMLElement, count: number, row: (place: number) => HTMLElement): HTMLElement {
  const list = h("ul", { class: "ctw-list" });
  let first = -1;
  const fill = (): void => {
    // What was never scrolled is at its top; asking a new element would make the browser lay out at once.
    const above = first < 0 ? 0 : Math.floor(scroller.scrollTop / ROW_HEIGHT / STEP - 1) * STEP;
    const wanted = Math.max(0, Math.min(count - ROWS, above));
    if (wanted === first) return;
    first = wanted;
    const focused = list.querySelector<HTMLElement>(":focus")?.dataset["row"];
    list.style.padding = `${first * ROW_HEIGHT}px 0 0`;
    list.replaceChildren(...Array.from({ length: Math.min(ROWS, count) }, (_, place) => row(first + place)));
    if (focused) list.querySelector<HTMLElement>(`[data-row="${focused}"]`)?.focus({ preventScroll: true });
  };
  fill();
  list.style.height = `${count * ROW_HEIGHT}px`;
  scroller.onscroll = fill;
  return list;
}

/** Title and rows of one direction, strongest first. */
export function connectionList(session: Session, row: number, direction: Direction): HTMLElement {
  const { graph } = session;
  const all = edgesOf(graph, row, direction);
  const visible = session.visible.peek();
  const largest = Math.abs(graph.share[all[0]!]!);
  const section = scrolling(direction, h("h4", { class: "ctw-subtitle" }, direction, " ", note(graph, all, direction)));
  const item = (place: number): HTMLElement => {
    const connection = connectionOf(graph, all[place]!, row);
    return connectionRow(session, connection, largest, visible[connection.row] === 1);
  };
  section.append(
    all.length > 0 ? rowList(section, all.length, item) : h("p", { class: "ctw-muted" }, `no ${direction}`),
  );
  return section;
}

function note(graph: Graph, all: Int32Array, direction: Direction): HTMLElement {
  const covered = all.reduce((sum, edge) => sum + Math.abs(graph.share[edge]!), 0);
  // Of a cut graph some input is missing here; the shares are of all of it.
  const cut = direction === "inputs" && all.length > 0 && covered < 0.995 ? `, ${formatShare(covered)} of input` : "";
  return muted(`${formatCount(all.length)}${cut}`);
}

function connectionRow(session: Session, item: Connection, largest: number, isVisible: boolean): HTMLElement {
  const sign = item.share < 0 ? "negative" : "positive";
  const bar = h("span", { class: "ctw-bar" });
  bar.style.width = `${(50 * Math.abs(item.share)) / largest}%`;
  const title =
    `weight ${formatNumber(item.weight, 6)}, ${formatShare(Math.abs(item.share))} of the target's input` +
    (isVisible ? "" : "; hidden by pruning, click to show");
  return nodeRow(
    session,
    item.row,
    { class: `ctw-row ctw-${sign}${isVisible ? "" : " ctw-hidden-node"}`, title },
    h("span", { class: "ctw-weight" }, formatWeight(item.weight)),
    h("span", { class: "ctw-share" }, bar, h("span", {}, formatShare(Math.abs(item.share)))),
  );
}

/** One row with the influence of its node, or the probability of a logit. */
export function strengthRow(session: Session, row: number): HTMLElement {
  const value = formatFraction(strengthOf(session.graph, row));
  return nodeRow(session, row, { class: "ctw-row" }, h("span", { class: "ctw-weight" }, value));
}

/** One row: mark, name, label or token, then `values`. Which node it is stands in `data-row`. */
function nodeRow(
  session: Session,
  row: number,
  attributes: { class: string; title?: string },
  ...values: HTMLElement[]
): HTMLElement {
  const { graph } = session;
  const kind = graph.kind[row]!;
  const label = session.label(row);
  const isToken = kind === LOGIT || kind === EMBEDDING;
  const name = h(
    "span",
    { class: "ctw-name" },
    h("span", { class: "ctw-mono" }, nodeName(graph, row)),
    ...(label ? [h("span", {}, label)] : []),
    h("span", { class: isToken ? "ctw-muted" : "ctw-muted ctw-mono" }, whereOf(graph, row)),
  );
  return h("li", {}, pressable({ ...attributes, "data-row": row }, shapeIcon(kind), name, ...values));
}

/** Hover and select through any row inside `container`: one set of listeners, however often its rows are rebuilt. */
export function linkRows(container: HTMLElement, session: Session, abort: AbortSignal): void {
  const rowOf = (event: Event): number | null => {
    const row = (event.target as Element).closest<HTMLElement>("[data-row]")?.dataset["row"];
    return row === undefined ? null : Number(row);
  };
  const hover = (event: Event): void => {
    const row = rowOf(event);
    session.hoversList.value = true;
    session.hover(row);
  };
  const leave = (): void => {
    session.hover(null);
    session.hoversList.value = false;
  };
  const click = (event: Event): void => {
    const row = rowOf(event);
    if (row === null) return;
    leave();
    session.select(row);
  };
  on(container, "pointerover", hover, abort);
  on(container, "pointerleave", leave, abort);
  on(container, "focusin", hover, abort);
  on(container, "focusout", leave, abort);
  on(container, "click", click, abort);
}
