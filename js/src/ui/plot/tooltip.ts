/** The small card beside a hovered node: its name, label and place, what the panel would repeat in full. */

import { speak } from "../../core/graph/describe";
import type { Session } from "../../core/graph_widget/session";
import { h } from "../parts/dom";

const DISTANCE = 14;
/** Height that the largest card needs above its node. */
const ROOM_ABOVE = 84;

export class Tooltip {
  readonly element = h("div", { class: "ctw-tooltip", hidden: true, "aria-hidden": "true" });
  #shown: number | null = null;

  constructor(readonly session: Session) {}

  /** Show the card of `row` at (x, y) of a stage of this size, or hide it. */
  show(row: number | null, x: number, y: number, stage: { width: number; height: number }): void {
    this.element.hidden = row === null;
    if (row === null) return;
    if (row !== this.#shown) this.#fill(row);
    this.#shown = row;
    // Percentages are of the card's own size, so the browser keeps it inside without being asked for measures.
    const left = `clamp(4px, calc(${x}px - 50%), calc(${stage.width - 4}px - 100%))`;
    const top = y > ROOM_ABOVE ? `calc(${y - DISTANCE}px - 100%)` : `${y + DISTANCE}px`;
    this.element.style.transform = `translate(${left}, ${top})`;
  }

  #fill(row: number): void {
    const [name, ...facts] = speak(this.session.graph, row, this.session.synced.labels.value);
    this.element.replaceChildren(h("b", {}, name), h("div", { class: "ctw-muted" }, facts.join(" · ")));
  }
}
