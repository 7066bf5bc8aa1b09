/** Inputs or outputs of a node as rows that hover and select the node at the other end. */

import { type Connection, connectionOf, type Direction, edgesOf } from "../core/connections";
import { nodeName, placeName } from "../core/describe";
import { formatCount, formatFraction, formatNumber, formatShare, formatWeight } from "../core/format";
import { EMBEDDING, type Graph, LOGIT } from "../core/graph";
import type { Session } from "../core/session";
import { h, muted, on } from "./dom";
import { shapeIcon } from "./shapes";

/** A part of the panel that scrolls by itself, also from the keyboard. */
export function scrolling(name: string, ...children: HTMLElement[]): HTMLElement {
  return h("section", { class: "ctw-scroll", tabindex: 0, "aria-label": name }, ...children);
}

/** Title and the strongest `limit` rows of one direction. */
export function connectionList(session: Session, row: number, direction: Direction, limit: number): HTMLElement {
  const { graph } = session;
  const all = edgesOf(graph, row, direction);
  const shown = Array.from(all.subarray(0, limit), (edge) => connectionOf(graph, edge, row));
  const visible = session.visible.peek();
  const largest = Math.max(1e-9, ...shown.map(({ share }) => Math.abs(share)));
  const list = h(
    "ul",
    { class: "ctw-list" },
    ...shown.map((item) => connectionRow(session, item, largest, visible[item.row] === 1)),
  );
  const section = scrolling(direction, h("h4", { class: "ctw-subtitle" }, direction, " ", note(graph, all, direction)));
  section.append(shown.length > 0 ? list : h("p", { class: "ctw-muted" }, `no ${direction}`));
  if (all.length > shown.length) {
    const rest = formatCount(all.length - shown.length);
    section.append(h("p", { class: "ctw-muted" }, `and ${rest} weaker ${direction}`));
  }
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
  bar.style.width = `${(100 * Math.abs(item.share)) / largest}%`;
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

/** The strongest shown features, a way in when nothing is selected. */
export function strongestList(session: Session, rows: readonly number[]): HTMLElement {
  const { graph } = session;
  return h(
    "ul",
    { class: "ctw-list" },
    ...rows.map((row) =>
      nodeRow(
        session,
        row,
        { class: "ctw-row" },
        h("span", { class: "ctw-weight" }, formatFraction(graph.influence[row]!)),
      ),
    ),
  );
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
  const where =
    kind === LOGIT ? "output" : kind === EMBEDDING ? `token ${graph.position[row]! + 1}` : placeName(graph, row);
  const isToken = kind === LOGIT || kind === EMBEDDING;
  const name = h(
    "span",
    { class: "ctw-name" },
    h("span", { class: "ctw-mono" }, nodeName(graph, row)),
    ...(label ? [h("span", {}, label)] : []),
    h("span", { class: isToken ? "ctw-muted" : "ctw-muted ctw-mono" }, where),
  );
  const press = h("button", { type: "button", ...attributes, "data-row": row }, shapeIcon(kind), name, ...values);
  return h("li", {}, press);
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
