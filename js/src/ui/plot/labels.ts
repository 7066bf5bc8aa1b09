/** Text around and in the plot, as DOM: layers at the left, tokens below, logits beside their marks. */

import { formatUnit, visibleToken } from "../../core/format";
import { tokenOf } from "../../core/graph/describe";
import type { Graph } from "../../core/graph/graph";
import type { Folds } from "../../core/plot/folding";
import { type Layout, type Row, SLANT, SLANTED_WIDTH } from "../../core/plot/layout";
import type { Viewport } from "../../core/plot/viewport";
import { h } from "../parts/dom";

/** Shown text: where it starts, ends or has its middle, and how it is turned. */
export interface Placed {
  readonly element: HTMLElement;
  readonly x: number;
  readonly y: number;
  readonly anchor: "start" | "middle" | "end";
  readonly angle: number;
}

const LAYERS_RIGHT = 40;
const TOKEN_LIMIT = 12;
const LABEL_LIMIT = 12;
const LINE_HEIGHT = 13;
/** Least room for flat text, even if it is cut. */
const NARROWEST = 10;

/** Text of a logit: with its probability where it stands beside the mark, without where many stand above theirs. */
export function logitText(graph: Graph, row: number, side: Layout["labelSide"]): string {
  const token = visibleToken(tokenOf(graph, row), LABEL_LIMIT);
  const probability = graph.probability[row]!;
  return side === "beside" && probability >= 0 ? `${token} ${formatUnit(probability)}` : token;
}

/** A token, or how many stand in this place. */
export function tokenText(graph: Graph, position: number, folds: Folds): string {
  return folds[position]! > 0 ? `⋯ ${folds[position]}` : visibleToken(graph.tokens[position]!, TOKEN_LIMIT);
}

/** "logits", "L3", "L4–L9", "emb". */
function rowText(row: Row, nLayers: number): string {
  const name = (layer: number): string => (layer === nLayers ? "logits" : layer < 0 ? "emb" : `L${layer}`);
  return row.from === row.to ? name(row.from) : `${name(row.from)}–${name(row.to).replace("L", "")}`;
}

export class PlotLabels {
  readonly layers = h("div", { class: "ctw-layers", "aria-hidden": "true" });
  readonly tokens = h("div", { class: "ctw-tokens", "aria-hidden": "true" });
  readonly logits = h("div", { class: "ctw-logits", "aria-hidden": "true" });
  /** What is shown now. */
  placed: Placed[] = [];
  #isSlanted = false;
  #here: number | null = null;
  #rows: HTMLElement[] = [];
  #tokens: HTMLElement[] = [];
  #logits: [row: number, element: HTMLElement][] = [];

  constructor(
    readonly graph: Graph,
    readonly measure: (text: string) => number,
  ) {}

  /** Make the text of a new layout; positions follow in `place`. `data-open` says what a click unfolds. */
  build(layout: Layout, folds: Folds): void {
    const { tokens, nLayers } = this.graph;
    const texts = tokens.map((_, position) => tokenText(this.graph, position, folds));
    const tooWide = texts.filter((text, position) => {
      const { width } = layout.columns[position]!;
      return width > 0 && this.measure(text) > width;
    });
    this.#isSlanted = tooWide.length > texts.filter((_, position) => folds[position]! >= 0).length / 6;
    this.tokens.classList.toggle("ctw-slanted", this.#isSlanted);
    this.#tokens = texts.map((text, position) => {
      const count = Math.max(1, folds[position]!);
      const said = visibleToken(tokens.slice(position, position + count).join(""), 200);
      if (count === 1) return h("span", { class: "ctw-token", title: `token ${position + 1}: ${said}` }, text);
      const title = `${count} tokens, click to unfold (E): ${said}`;
      return h(
        "span",
        { class: "ctw-token ctw-fold", title, "data-open": `${position} ${position + count - 1}` },
        text,
      );
    });
    this.tokens.replaceChildren(...this.#tokens);
    this.emphasise(this.#here);
    this.#rows = layout.rows.map((row) => {
      const name = rowText(row, nLayers);
      if (!row.isEmpty) return h("span", { class: "ctw-layer" }, name);
      const title = "click to unfold (E)";
      return h("span", { class: "ctw-layer ctw-fold", title, "data-open": `${-2 - row.to} ${-2 - row.from}` }, name);
    });
    this.layers.replaceChildren(...this.#rows);
    this.#logits = [...layout.labelled].map((row) => [
      row,
      h("span", { class: "ctw-logit" }, logitText(this.graph, row, layout.labelSide)),
    ]);
    this.logits.classList.toggle("ctw-above", layout.labelSide === "above");
    this.logits.replaceChildren(...this.#logits.map(([, element]) => element));
  }

  place(layout: Layout, viewport: Viewport, radius: number): void {
    const { scale } = viewport;
    let last = Number.NEGATIVE_INFINITY;
    this.placed = [];
    this.#rows.forEach((element, i) => {
      const y = layout.rows[i]!.y * scale + viewport.y;
      const isShown = y >= 0 && y <= layout.height && y - last >= LINE_HEIGHT * 0.85;
      element.hidden = !isShown;
      if (!isShown) return;
      last = y;
      this.#put(element, LAYERS_RIGHT, y, "end");
    });
    last = Number.NEGATIVE_INFINITY;
    this.#tokens.forEach((element, position) => {
      const column = layout.columns[position]!;
      const left = column.left * scale + viewport.x;
      const right = left + column.width * scale;
      // Flat text stands in the middle of what is in sight of its column.
      const room = Math.min(right, layout.width) - Math.max(left, 0);
      const x = this.#isSlanted ? (left + right) / 2 : (Math.min(right, layout.width) + Math.max(left, 0)) / 2;
      const isInside = x >= 0 && x <= layout.width;
      const isShown = isInside && (this.#isSlanted ? x - last >= SLANTED_WIDTH - 1 : room >= NARROWEST);
      element.hidden = !isShown;
      if (!isShown) return;
      last = x;
      if (this.#isSlanted) this.#put(element, x + 10, 10, "end", -SLANT);
      else this.#put(element, x, 11, "middle");
      element.style.maxWidth = this.#isSlanted ? "" : `${room - 2}px`;
    });
    const isAbove = layout.labelSide === "above";
    for (const [row, element] of this.#logits) {
      const x = layout.x[row]! * scale + viewport.x;
      const y = layout.y[row]! * scale + viewport.y;
      if (isAbove) this.#put(element, x + 1, y - radius - 7, "end", SLANT);
      else this.#put(element, x + Math.max(13, radius * 1.2 + 8), y, "start");
    }
  }

  /** Put text at (x, y), the middle of its height and where it starts, ends or has its middle; turned around that point. */
  #put(element: HTMLElement, x: number, y: number, anchor: Placed["anchor"], angle = 0): void {
    const back = { start: 0, middle: 50, end: 100 }[anchor];
    element.style.transform = `translate(calc(${x}px - ${back}%), calc(${y}px - 50%)) rotate(${angle}deg)`;
    element.style.transformOrigin = `${back}%`;
    this.placed.push({ element, x, y, anchor, angle });
  }

  /** Mark the token under the node in focus. */
  emphasise(position: number | null): void {
    this.#here = position;
    for (const [i, element] of this.#tokens.entries()) element.classList.toggle("ctw-here", i === position);
  }
}
