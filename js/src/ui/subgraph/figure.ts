/** The figure of the subgraph in the page: drawn when boxes, places or marks change, with a field to name a box in it. */

import { computed, type ReadonlySignal, signal } from "@preact/signals-core";
import type { Box } from "../../core/graph/subgraph";
import type { Session } from "../../core/graph_widget/session";
import { live } from "../../core/lifetime";
import { BOX_HEIGHT, type BoxLayout, layoutBoxes, type Places } from "../../core/plot/box_layout";
import { h, on, onResize, s } from "../parts/dom";
import { editText } from "../parts/edit_text";
import { textMeasure } from "../parts/text_measure";
import { boxElement, boxWidth, edgeElements } from "./box_figure";

const NARROWEST_EDIT = 140;

export class BoxFigure {
  readonly svg = s("svg", { class: "ctw-figure", role: "group", "aria-label": "pinned subgraph" });
  readonly stage = h("div", { class: "ctw-figure-stage" }, this.svg);
  readonly width = signal(0);
  readonly layout: ReadonlySignal<BoxLayout>;
  /** The box under way by the pointer, before its place is kept. */
  readonly moving = signal<Places>({});
  /** How often the boxes were drawn: their elements are new then. */
  readonly #drawn = signal(0);
  #isDrawing = false;

  /** `root` has the fonts. */
  constructor(
    readonly session: Session,
    root: HTMLElement,
    readonly abort: AbortSignal,
  ) {
    const { graph, synced, boxes } = session;
    const [measure, bold] = [textMeasure(root), textMeasure(root, "600 11px", "--ctw-sans")];
    this.layout = computed(() => {
      const widths = boxes.value.map((box) => boxWidth(graph, box, measure, bold));
      return layoutBoxes(graph, boxes.value, widths, this.width.value, {
        ...synced.places.value,
        ...this.moving.value,
      });
    });
    const resized = (): void => {
      this.width.value = this.stage.clientWidth;
    };
    onResize(this.stage, resized, abort);
    live(abort, () => this.#draw());
    live(abort, () => this.#mark());
    const focused = (event: Event): void => {
      const box = this.boxAt(event.target);
      if (box && !this.#isDrawing) session.select(box.rows[0]!);
    };
    on(this.svg, "focusin", focused, abort);
  }

  elementOf(key: string): SVGGElement | undefined {
    return [...this.svg.querySelectorAll<SVGGElement>(".ctw-box")].find((element) => element.dataset["key"] === key);
  }

  boxAt(target: EventTarget | null): Box | undefined {
    const key = (target as Element | null)?.closest<SVGGElement>(".ctw-box")?.dataset["key"];
    return this.session.boxes.peek().find((box) => box.key === key);
  }

  /** Place of a box among all, and on the figure. */
  placeOf({ key }: Box): { index: number; x: number; y: number; width: number } | undefined {
    const index = this.session.boxes.peek().findIndex((other) => other.key === key);
    const place = this.layout.peek().places[index];
    return place && { index, ...place };
  }

  /** Type a name for a supernode, or a label for a single node. */
  rename(box: Box): void {
    const place = this.placeOf(box);
    if (!place) return;
    const done = (text: string | null): void => {
      if (text !== null) this.session.edits.rename(box, text);
      this.elementOf(box.key)?.focus();
    };
    const name = box.group === null ? "Label of the node" : "Name of the supernode";
    const { input, start } = editText({ text: box.name, name, done }, this.abort);
    const width = this.width.peek();
    const wide = Math.min(Math.max(NARROWEST_EDIT, place.width), width);
    input.style.width = `${wide}px`;
    input.style.left = `${Math.min(width - wide, Math.max(0, place.x - wide / 2))}px`;
    input.style.top = `${place.y - BOX_HEIGHT / 2}px`;
    this.stage.append(input);
    start();
  }

  #draw(): void {
    const { svg, stage, session } = this;
    const { places, height } = this.layout.value;
    const [boxes, marked, width] = [session.boxes.value, session.marked.value, this.width.value];
    stage.hidden = boxes.length === 0;
    if (width === 0) return;
    this.#isDrawing = true;
    const focused = svg.querySelector<SVGGElement>(":focus")?.dataset["key"];
    svg.setAttribute("viewBox", `0 0 ${width} ${Math.max(1, height)}`);
    svg.setAttribute("width", String(width));
    svg.setAttribute("height", String(height));
    svg.replaceChildren(
      ...edgeElements(boxes, session.boxEdges.value, this.layout.value),
      ...boxes.map((box, i) => boxElement(session.graph, box, places[i]!, marked.has(box.key))),
    );
    if (focused !== undefined) this.elementOf(focused)?.focus();
    this.#isDrawing = false;
    this.#drawn.value = this.#drawn.peek() + 1;
  }

  /** Show which boxes hold the node that is selected or hovered, and fade the edges that do not touch the latter. */
  #mark(): void {
    this.#drawn.value;
    const { session } = this;
    const [selected, hovered] = [session.selectedRow.value, session.hoveredRow.value];
    const pointed = new Set<string>();
    session.boxes.value.forEach(({ key, rows }, i) => {
      const element = this.elementOf(key);
      element?.classList.toggle("ctw-box-selected", selected !== null && rows.includes(selected));
      element?.classList.toggle("ctw-box-hovered", hovered !== null && rows.includes(hovered));
      if (hovered !== null && rows.includes(hovered)) pointed.add(String(i));
    });
    for (const edge of this.svg.querySelectorAll<SVGGElement>(".ctw-box-edge")) {
      const touches = edge.dataset["ends"]!.split(" ").some((end) => pointed.has(end));
      edge.classList.toggle("ctw-box-faded", pointed.size > 0 && !touches);
    }
  }
}

/** Pixels that a press may move and still be a click. */
const STILL = 4;

/** Click selects, with Shift marks, a drag moves, a double click renames. */
export function listenPointer(figure: BoxFigure, abort: AbortSignal): void {
  const { svg, session, moving } = figure;
  let pressed: { box: Box; x: number; y: number; left: number; top: number; isDrag: boolean } | null = null;
  const down = (event: PointerEvent): void => {
    const box = figure.boxAt(event.target);
    if (!box || event.button !== 0) return;
    const place = figure.placeOf(box)!;
    pressed = { box, x: event.clientX, y: event.clientY, left: place.x, top: place.y, isDrag: false };
  };
  const point = (box: Box | undefined): void => {
    session.hover(box?.rows[0] ?? null);
    session.previewed.value = box?.rows ?? [];
  };
  const move = (event: PointerEvent): void => {
    if (!pressed) point(figure.boxAt(event.target));
    if (!pressed || event.buttons === 0) return;
    const [dx, dy] = [event.clientX - pressed.x, event.clientY - pressed.y];
    if (!pressed.isDrag && Math.hypot(dx, dy) < STILL) return;
    if (!pressed.isDrag) svg.setPointerCapture(event.pointerId);
    pressed.isDrag = true;
    moving.value = { [pressed.box.key]: [(pressed.left + dx) / figure.width.peek(), pressed.top + dy] };
  };
  const up = (event: PointerEvent): void => {
    if (!pressed) return;
    const { box, isDrag } = pressed;
    pressed = null;
    const put = moving.value[box.key];
    if (isDrag && put) session.edits.place(box, Math.max(0, Math.min(1, put[0])), Math.max(BOX_HEIGHT / 2, put[1]));
    else if (event.shiftKey) session.toggleMark(box);
    else session.select(box.rows[0]!);
    // A new value draws the boxes anew, and a click on one that is gone would not become a double click.
    if (isDrag) moving.value = {};
  };
  const cancel = (): void => {
    pressed = null;
    moving.value = {};
  };
  const twice = (event: MouseEvent): void => {
    const box = figure.boxAt(event.target);
    if (box) figure.rename(box);
  };
  on(svg, "pointerdown", down, abort);
  on(svg, "pointermove", move, abort);
  on(svg, "pointerup", up, abort);
  on(svg, "pointercancel", cancel, abort);
  on(svg, "pointerleave", () => point(undefined), abort);
  on(svg, "dblclick", twice, abort);
}
