/** The sheet: square plots in rows with equal gaps, the family under each, ticks on the outer ones only. */

import { batch, type ReadonlySignal } from "@preact/signals-core";
import { formatNumber } from "../../core/format";
import { live } from "../../core/lifetime";
import type { Ramp } from "../../core/operands/heatmap";
import { FAMILIES, rowName } from "../../core/operands/operands";
import type { OperandSession } from "../../core/operands/session";
import { button, h, on, onResize } from "../parts/dom";
import { axis, followPointer, markCell, OperandPlot, overlayPath } from "./plot";

/** Pixels that a plot of many cells is wide; of few cells about as much, in whole pixels per cell. */
const SIZE = 100;
const GAP = 16;
/** Room for the ticks of the outer plots. */
const GUTTER = 36;
const PADDING = 24;

interface Item {
  readonly element: HTMLLIElement;
  readonly press: HTMLButtonElement;
  readonly plot: OperandPlot;
  readonly value: HTMLElement;
}

export class Sheet {
  readonly element: HTMLElement;
  readonly #items: readonly Item[];
  readonly #list: HTMLElement;
  readonly #nothing = h("p", { class: "ctw-muted ctw-o-nothing" });
  readonly #all: HTMLElement;
  readonly #size: number;
  #columns = 1;

  constructor(
    readonly session: OperandSession,
    ramp: ReadonlySignal<Ramp>,
    abort: AbortSignal,
  ) {
    const { operands, synced } = session;
    this.#items = Array.from({ length: operands.nShown }, (_, row) => createItem(session, row));
    this.#list = h("ul", { class: "ctw-o-sheet", "aria-label": `operand plots of ${operands.nShown} features` });
    this.element = h("div", { class: "ctw-o-sheet-box" }, this.#list, this.#nothing);
    this.#all = button("Show all", "Show every family", abort, () => (synced.families.value = []));
    this.#size = plotSize(operands.a.length, operands.b.length);
    this.#list.style.setProperty("--size", `${this.#size}px`);
    live(abort, () => this.#fill());
    onResize(this.element, () => this.#lay(), abort);
    live(abort, () => {
      const colours = ramp.value;
      for (const [row, { plot }] of this.#items.entries()) plot.paint(row, colours);
    });
    live(abort, () => {
      for (const [row, { press }] of this.#items.entries()) press.setAttribute("aria-label", session.speak(row));
    });
    live(abort, () => {
      const path = overlayPath(session);
      for (const { plot } of this.#items) plot.overlay(path);
    });
    live(abort, () => this.#read());
    live(abort, () => {
      const selected = session.selectedRow.value;
      for (const [row, { element }] of this.#items.entries())
        element.classList.toggle("ctw-o-selected", row === selected);
    });
    followPointer(this.#list, session, rowOf, abort);
    const click = (event: MouseEvent): void => {
      const row = rowOf(event.target);
      if (row !== null) batch(() => session.open(row));
    };
    on(this.#list, "click", click, abort);
  }

  /** Put the focus on a plot. */
  focus(row: number): void {
    // A plot that one walked to may be none of those that the filter leaves.
    const rows = this.session.rows.peek();
    const shown = rows.includes(row) ? row : rows[0];
    const item = this.#items[shown ?? -1];
    if (!item || shown === undefined) return;
    for (const { press } of this.#items) press.tabIndex = -1;
    item.press.tabIndex = 0;
    item.press.focus({ preventScroll: true });
    item.element.scrollIntoView({ block: "nearest" });
    this.session.pointed.value = shown;
  }

  /** Move the focus among the plots; false where there is none to move to. */
  walk(key: string): boolean {
    const rows = this.session.rows.peek();
    const at = rows.indexOf(this.#focused(rows) ?? -1);
    const columns = this.#columns;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
    if (at < 0) return false;
    const next = step !== undefined ? at + step : key === "Home" ? 0 : key === "End" ? rows.length - 1 : -1;
    if (rows[next] === undefined) return step !== undefined;
    this.focus(rows[next]);
    return true;
  }

  #focused(rows: readonly number[]): number | undefined {
    const { activeElement } = this.#list.getRootNode() as Document;
    return rows.find((row) => this.#items[row]!.press === activeElement);
  }

  /** Show the plots that the filter leaves, in their order. */
  #fill(): void {
    const { operands, synced, rows: shown, selectedRow } = this.session;
    const rows = shown.value;
    const items = this.#items;
    const focused = this.#focused(rows);
    this.#list.replaceChildren(...rows.map((row) => items[row]!.element));
    this.#nothing.hidden = rows.length > 0;
    const names = synced.families.value.map((kind) => FAMILIES[kind]).join(" or ");
    this.#nothing.replaceChildren(`None of the ${operands.nShown} features is of the family ${names}. `, this.#all);
    const first = selectedRow.peek() ?? -1;
    for (const row of rows) items[row]!.press.tabIndex = -1;
    const entry = items[rows.includes(first) ? first : (rows[0] ?? -1)];
    if (entry) entry.press.tabIndex = 0;
    if (focused !== undefined) items[focused]!.press.focus({ preventScroll: true });
    this.#lay();
  }

  /** As many columns as there is room for. */
  #lay(): void {
    const room = this.element.clientWidth - GUTTER - PADDING;
    if (room <= 0) return;
    const columns = Math.max(1, Math.floor((room + GAP) / (this.#size + GAP)));
    this.#columns = columns;
    this.#list.style.setProperty("--columns", String(columns));
    const rows = this.session.rows.peek();
    // Ticks stand at the left of the first column and below the last plot of each; captions of a row stay in line.
    const firstTicked = columns * Math.floor((rows.length - columns) / columns);
    rows.forEach((row, place) => {
      const { element: item } = this.#items[row]!;
      for (const old of item.querySelectorAll(".ctw-o-axis")) old.remove();
      item.classList.toggle("ctw-o-low", place >= firstTicked);
      if (place % columns === 0) item.append(axis(this.session, "a"));
      if (place >= rows.length - columns) item.append(axis(this.session, "b"));
    });
  }

  /** Mark the hovered cell in every plot, and write its value below. */
  #read(): void {
    const { session } = this;
    const { operands, synced } = session;
    if (session.enlargedRow.value !== null) return; // nobody sees the sheet
    markCell(this.#list, operands, synced.hovered.value);
    for (const row of session.rows.value) {
      const value = session.valueOf(row);
      const end = synced.scale.value === "own" ? `≤ ${formatNumber(session.fields.value[row]!.peak, 2)}` : "";
      this.#items[row]!.value.textContent = value === null ? end : formatNumber(value, 2);
    }
  }
}

/** The row of the sheet that an element belongs to. */
function rowOf(target: EventTarget | null): number | null {
  const row = (target as Element | null)?.closest<HTMLElement>("[data-row]")?.dataset["row"];
  return row === undefined ? null : Number(row);
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
