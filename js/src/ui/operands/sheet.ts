/** The sheet: square plots in rows with equal gaps, the family under each, ticks on the outer ones only. */

import { batch, type ReadonlySignal } from "@preact/signals-core";
import { formatNumber } from "../../core/format";
import { live } from "../../core/lifetime";
import type { Ramp } from "../../core/operands/heatmap";
import { FAMILIES, rowName } from "../../core/operands/operands";
import type { OperandSession } from "../../core/operands/session";
import { placeOf } from "../../core/operands/sheet";
import { button, h, on, onResize } from "../parts/dom";
import { axis, followPointer, OperandPlot, overlayPath } from "./plot";

/** Pixels that a plot of many cells is wide; of few cells about as much, in whole pixels per cell. */
const SIZE = 100;
const GAP = 16;
/** Room for the ticks of the outer plots. */
const GUTTER = 36;
const PADDING = 24;

export interface Sheet {
  readonly element: HTMLElement;
  /** Move the focus among the plots; false where there is none to move to. */
  walk(key: string): boolean;
  /** Put the focus on a plot. */
  focus(row: number): void;
}

interface Item {
  readonly element: HTMLLIElement;
  readonly press: HTMLButtonElement;
  readonly plot: OperandPlot;
  readonly value: HTMLElement;
}

export function createSheet(session: OperandSession, ramp: ReadonlySignal<Ramp>, abort: AbortSignal): Sheet {
  const { operands, synced } = session;
  const items = Array.from({ length: operands.nShown }, (_, row) => createItem(session, row));
  const list = h("ul", { class: "ctw-o-sheet", "aria-label": `operand plots of ${operands.nShown} features` });
  const nothing = h("p", { class: "ctw-muted ctw-o-nothing" });
  const element = h("div", { class: "ctw-o-sheet-box" }, list, nothing);
  const all = button("Show all", "Show every family", abort, () => (synced.families.value = []));
  const size = plotSize(operands.a.length, operands.b.length);
  list.style.setProperty("--size", `${size}px`);
  let columns = 1;

  const lay = (): void => {
    const room = element.clientWidth - GUTTER - PADDING;
    if (room <= 0) return;
    columns = Math.max(1, Math.floor((room + GAP) / (size + GAP)));
    list.style.setProperty("--columns", String(columns));
    const rows = session.rows.peek();
    // Ticks stand at the left of the first column and below the last plot of each; captions of a row stay in line.
    const firstTicked = columns * Math.floor((rows.length - columns) / columns);
    rows.forEach((row, place) => {
      const { element: item } = items[row]!;
      for (const old of item.querySelectorAll(".ctw-o-axis")) old.remove();
      item.classList.toggle("ctw-o-low", place >= firstTicked);
      if (place % columns === 0) item.append(axis(session, "a"));
      if (place >= rows.length - columns) item.append(axis(session, "b"));
    });
  };
  live(abort, () => {
    const rows = session.rows.value;
    const focused = rows.find((row) => items[row]!.press === (list.getRootNode() as Document).activeElement);
    list.replaceChildren(...rows.map((row) => items[row]!.element));
    nothing.hidden = rows.length > 0;
    const names = synced.families.value.map((kind) => FAMILIES[kind]).join(" or ");
    nothing.replaceChildren(`None of the ${operands.nShown} features is of the family ${names}. `, all);
    const first = session.selectedRow.peek() ?? -1;
    for (const row of rows) items[row]!.press.tabIndex = -1;
    const entry = items[rows.includes(first) ? first : (rows[0] ?? -1)];
    if (entry) entry.press.tabIndex = 0;
    if (focused !== undefined) items[focused]!.press.focus({ preventScroll: true });
    lay();
  });
  onResize(element, lay, abort);
  live(abort, () => {
    const colours = ramp.value;
    for (const [row, { plot }] of items.entries()) plot.paint(row, colours);
  });
  live(abort, () => {
    for (const [row, { press }] of items.entries()) press.setAttribute("aria-label", session.speak(row));
  });
  live(abort, () => {
    const path = overlayPath(session);
    for (const { plot } of items) plot.overlay(path);
  });
  live(abort, () => {
    if (session.enlargedRow.value !== null) return; // nobody sees the sheet
    const cell = synced.hovered.value;
    const place = cell === null ? null : placeOf(operands, cell);
    list.classList.toggle("ctw-o-marked", place !== null);
    list.style.setProperty("--x", String(place?.[0] ?? 0));
    list.style.setProperty("--y", String(place?.[1] ?? 0));
    for (const row of session.rows.value) {
      const value = session.valueOf(row);
      items[row]!.value.textContent =
        value !== null
          ? formatNumber(value, 2)
          : synced.scale.value === "own"
            ? `≤ ${formatNumber(session.fields.value[row]!.peak, 2)}`
            : "";
    }
  });
  live(abort, () => {
    const selected = session.selectedRow.value;
    for (const [row, { element: item }] of items.entries()) item.classList.toggle("ctw-o-selected", row === selected);
  });
  const rowOf = (target: EventTarget | null): number | null => {
    const row = (target as Element | null)?.closest<HTMLElement>("[data-row]")?.dataset["row"];
    return row === undefined ? null : Number(row);
  };
  followPointer(list, session, rowOf, abort);
  on(
    list,
    "click",
    (event) => {
      const row = rowOf(event.target);
      if (row !== null) batch(() => session.open(row));
    },
    abort,
  );
  const focus = (row: number): void => {
    // A plot that one walked to may be none of those that the filter leaves.
    const rows = session.rows.peek();
    const shown = rows.includes(row) ? row : rows[0];
    const item = items[shown ?? -1];
    if (!item || shown === undefined) return;
    for (const { press } of items) press.tabIndex = -1;
    item.press.tabIndex = 0;
    item.press.focus({ preventScroll: true });
    item.element.scrollIntoView({ block: "nearest" });
    session.pointed.value = shown;
  };
  const walk = (key: string): boolean => {
    const rows = session.rows.peek();
    const at = rows.findIndex((row) => items[row]!.press === (list.getRootNode() as Document).activeElement);
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
    if (at < 0) return false;
    const next = step !== undefined ? at + step : key === "Home" ? 0 : key === "End" ? rows.length - 1 : -1;
    if (rows[next] === undefined) return step !== undefined;
    focus(rows[next]);
    return true;
  };
  return { element, walk, focus };
}

/** Whole pixels per cell, so that every cell is as wide as the next. */
function plotSize(rows: number, columns: number): number {
  const most = Math.max(rows, columns);
  return most * Math.max(1, Math.round(SIZE / most));
}

function createItem(session: OperandSession, row: number): Item {
  const { operands } = session;
  const press = h("button", { type: "button" });
  const plot = new OperandPlot(session, press);
  const value = h("span", { class: "ctw-o-value" });
  const { name } = operands.families[row]!;
  const element = h(
    "li",
    { class: "ctw-o-item", "data-row": row },
    press,
    h(
      "div",
      { class: "ctw-o-caption", "aria-hidden": "true" },
      h("div", { class: "ctw-o-family", title: operands.labels[row] || name }, name),
      h("div", { class: "ctw-o-name" }, h("span", { class: "ctw-mono ctw-muted" }, rowName(operands, row)), value),
    ),
  );
  return { element, press, plot, value };
}
