/** Four small charts over the same tokens; the hand or arrow keys read all of them at one place. */

import { computed } from "@preact/signals-core";
import { live } from "../../core/lifetime";
import type { TrainingSession } from "../../core/training/session";
import { type Chart, formatMark, formatTokens, formatValue, pointAt, scaleOf } from "../../core/training/training";
import { h, on, onResize, s } from "../parts/dom";
import { take } from "../parts/keys";

const HIGH = 128;
const [LEFT, RIGHT, TOP, BOTTOM] = [38, 10, 8, 18];
/** Lines differ by their dashes too, not by colour alone. */
const DASHES = ["", "5 3"];

export function createCharts(session: TrainingSession, abort: AbortSignal): HTMLElement {
  const element = h("div", {
    class: "ctw-t-charts",
    role: "group",
    tabindex: 0,
    "aria-label": "Curves of the training; left and right arrow keys read them",
  });
  const figures = session.synced.charts.value.map((_, place) => new Figure(session, place, abort));
  element.append(...figures.map((figure) => figure.element));
  readWithKeys(element, session, abort);
  const leave = (): void => {
    session.cursor.value = null;
  };
  on(element, "pointerleave", leave, abort);
  return element;
}

function readWithKeys(element: HTMLElement, session: TrainingSession, abort: AbortSignal): void {
  const press = (event: KeyboardEvent): void => {
    const steps = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (steps !== undefined) session.step(steps * (event.shiftKey ? 10 : 1));
    else if (event.key === "Escape" && session.cursor.value !== null) session.cursor.value = null;
    else return;
    // The notebook has other plans for these keys.
    take(event);
  };
  on(element, "keydown", press, abort);
}

class Figure {
  readonly element: HTMLElement;
  readonly #svg = s("svg", { class: "ctw-t-chart", "aria-hidden": true });
  readonly #lines = s("g");
  readonly #hand = s("g", { class: "ctw-t-hand" });
  readonly #head = h("figcaption", { class: "ctw-t-head" });
  #width = 0;
  readonly #scale = computed(() => scaleOf(this.#chart));

  constructor(
    readonly session: TrainingSession,
    readonly place: number,
    abort: AbortSignal,
  ) {
    this.#svg.append(this.#lines, this.#hand);
    this.element = h("figure", { class: "ctw-t-figure" }, this.#head, this.#svg);
    onResize(this.element, () => this.#lay(), abort);
    live(abort, () => this.#draw());
    live(abort, () => this.#read());
    on(
      this.#svg,
      "pointermove",
      (event) => {
        const x = event.clientX - this.#svg.getBoundingClientRect().left;
        session.cursor.value = this.#tokensAt(x);
      },
      abort,
    );
  }

  get #chart(): Chart {
    return this.session.synced.charts.value[this.place]!;
  }

  #lay(): void {
    const width = Math.floor(this.element.clientWidth);
    if (width === this.#width) return;
    this.#width = width;
    this.#svg.setAttribute("viewBox", `0 0 ${width} ${HIGH}`);
    this.#svg.setAttribute("height", String(HIGH));
    this.#draw();
    this.#read();
  }

  #x(tokens: number): number {
    return LEFT + ((this.#width - LEFT - RIGHT) * tokens) / this.session.extent.value;
  }

  #y(value: number): number {
    return HIGH - BOTTOM - (HIGH - TOP - BOTTOM) * this.#scale.value.place(value);
  }

  #tokensAt(x: number): number {
    const share = (x - LEFT) / Math.max(1, this.#width - LEFT - RIGHT);
    return Math.min(1, Math.max(0, share)) * this.session.extent.value;
  }

  #draw(): void {
    const chart = this.#chart;
    const extent = this.session.extent.value;
    if (this.#width <= LEFT + RIGHT) return;
    const bottom = HIGH - BOTTOM;
    const text = (words: string, x: number, y: number, anchor: string): SVGElement =>
      s("text", { class: "ctw-t-mark", x, y, "text-anchor": anchor }, words);
    this.#lines.replaceChildren(
      ...this.#scale.value.marks.flatMap((mark) => [
        s("path", { class: "ctw-t-rule", d: `M${LEFT} ${this.#y(mark)}H${this.#width - RIGHT}` }),
        text(formatMark(mark, chart), LEFT - 5, this.#y(mark) + 3, "end"),
      ]),
      s("path", { class: "ctw-t-axis", d: `M${LEFT} ${TOP}V${bottom}H${this.#width - RIGHT}` }),
      text("0", LEFT, HIGH - 5, "middle"),
      text(`${formatTokens(extent)} tokens`, this.#width - RIGHT, HIGH - 5, "end"),
      ...chart.lines.map(({ points }, i) =>
        s("path", {
          class: `ctw-t-line ctw-t-line-${i}`,
          "stroke-dasharray": DASHES[i],
          d: points
            .map((point, j) => `${j ? "L" : "M"}${this.#x(point.tokens).toFixed(1)} ${this.#y(point.value).toFixed(1)}`)
            .join(""),
        }),
      ),
    );
  }

  /** The values at the cursor, or the newest, as text and dots. */
  #read(): void {
    const chart = this.#chart;
    const cursor = this.session.cursor.value;
    const at = cursor ?? Number.POSITIVE_INFINITY;
    const read = chart.lines.map((line) => pointAt(line, at));
    const values = chart.lines.map((line, i) => {
      const point = read[i];
      const value = h("b", {}, point ? formatValue(point.value, chart) : "…");
      return chart.lines.length === 1
        ? h("span", { class: "ctw-t-value" }, value)
        : h("span", { class: "ctw-t-value" }, swatch(i), `${line.name} `, value);
    });
    this.#head.replaceChildren(h("h4", { class: "ctw-t-title" }, chart.title), h("span", {}, ...values));
    const marks = read.map((point, i) =>
      point
        ? [
            s("circle", {
              class: `ctw-t-dot ctw-t-line-${i}`,
              cx: this.#x(point.tokens),
              cy: this.#y(point.value),
              r: 3,
            }),
          ]
        : [],
    );
    const rule = cursor === null ? [] : [s("path", { class: "ctw-t-cursor", d: this.#vertical(cursor) })];
    this.#hand.replaceChildren(...(this.#width > LEFT + RIGHT ? [...rule, ...marks.flat()] : []));
  }

  #vertical(tokens: number): string {
    return `M${this.#x(tokens).toFixed(1)} ${TOP}V${HIGH - BOTTOM}`;
  }
}

function swatch(line: number): SVGElement {
  return s(
    "svg",
    { class: "ctw-t-swatch", width: 16, height: 8, "aria-hidden": true },
    s("path", { class: `ctw-t-line ctw-t-line-${line}`, d: "M0 4H16", "stroke-dasharray": DASHES[line] }),
  );
}
