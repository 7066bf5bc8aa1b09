/** One operand plot: heatmap, lines of equal sums, the mark of the hovered cell, and ticks where there is room. */

import type { Ramp } from "../../core/operands/heatmap";
import type { Operands } from "../../core/operands/operands";
import type { OperandSession } from "../../core/operands/session";
import { type Cell, cellAt, overlayLines, placeOf, ticks } from "../../core/operands/sheet";
import { h, on, s } from "../parts/dom";
import { Heatmap } from "./heatmap";

/** Lines of the overlay as the data of a path in cells. */
export function overlayPath({ operands, synced }: OperandSession): string {
  return overlayLines(operands, synced.overlay.value, synced.k.value)
    .map((line) => `M${line.map((point) => point.join(" ")).join("L")}`)
    .join("");
}

/** The plot inside `element`. */
export class OperandPlot {
  readonly heatmap: Heatmap;
  #overlay: SVGSVGElement | null = null;

  constructor(
    readonly session: OperandSession,
    element: HTMLElement,
  ) {
    const { a, b } = session.operands;
    this.heatmap = new Heatmap(b.length, a.length);
    element.classList.add("ctw-o-plot");
    element.append(this.heatmap.canvas);
  }

  paint(row: number, ramp: Ramp): void {
    this.heatmap.field(this.session.fields.value[row]!, this.session.topOf(row), ramp);
  }

  /** Lines are in the page only where there are any: a sheet has many plots. */
  overlay(path: string): void {
    this.#overlay?.remove();
    if (path === "") return;
    const { canvas, columns, rows } = this.heatmap;
    this.#overlay = s(
      "svg",
      {
        class: "ctw-o-overlay",
        viewBox: `0 0 ${columns} ${rows}`,
        preserveAspectRatio: "none",
        "aria-hidden": "true",
      },
      s("path", { class: "ctw-o-line", d: path }),
    );
    canvas.after(this.#overlay);
  }
}

/** Mark `cell` in every plot inside `container`; null marks none. */
export function markCell(container: HTMLElement, operands: Operands, cell: Cell | null): void {
  const place = cell === null ? null : placeOf(operands, cell);
  container.classList.toggle("ctw-o-marked", place !== null);
  container.style.setProperty("--x", String(place?.[0] ?? 0));
  container.style.setProperty("--y", String(place?.[1] ?? 0));
}

/** Hover the cell under the pointer in any plot inside `container`; `rowOf` says which row an element is. */
export function followPointer(
  container: HTMLElement,
  session: OperandSession,
  rowOf: (plot: HTMLElement) => number | null,
  abort: AbortSignal,
): void {
  on(
    container,
    "pointermove",
    (event) => {
      const plot = (event.target as Element).closest<HTMLElement>(".ctw-o-plot");
      const box = plot?.getBoundingClientRect();
      session.pointed.value = plot ? rowOf(plot) : null;
      session.hover(
        box
          ? cellAt(session.operands, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height)
          : null,
      );
    },
    abort,
  );
  const leave = (): void => {
    session.pointed.value = null;
    session.hover(null);
  };
  on(container, "pointerleave", leave, abort);
}

/** The numbers of an axis at its first, middle and last place, and its name. */
export function axis(session: OperandSession, name: "a" | "b"): HTMLElement {
  const numbers = session.operands[name];
  const marks = ticks(numbers).map((place) => {
    const mark = h("span", { class: "ctw-o-tick" }, String(numbers[place]).replace("-", "\u2212"));
    mark.style.setProperty("--at", `${(100 * (place + 0.5)) / numbers.length}%`);
    return mark;
  });
  return h(
    "span",
    { class: `ctw-o-axis ctw-o-axis-${name}`, "aria-hidden": "true" },
    ...marks,
    h("i", { class: "ctw-o-axis-name" }, name),
  );
}
