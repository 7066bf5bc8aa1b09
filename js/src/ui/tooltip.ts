/** The small card beside a hovered node: its name, label and place, what the panel would repeat in full. */

import { nodeName, placeName } from "../core/describe";
import { formatFraction, formatNumber, formatUnit } from "../core/format";
import { EMBEDDING, LOGIT } from "../core/graph";
import type { Session } from "../core/session";
import { h } from "./dom";

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
    const { graph } = this.session;
    const title = h("div", {}, h("b", { class: "ctw-mono" }, nodeName(graph, row)));
    const kind = graph.kind[row]!;
    if (kind !== LOGIT && kind !== EMBEDDING)
      title.append(h("span", { class: "ctw-muted" }, ` at “${placeName(graph, row)}”`));
    const label = this.session.label(row);
    const facts: string[] = [];
    if (kind === LOGIT) facts.push(`probability ${formatUnit(graph.probability[row]!)}`);
    if (!Number.isNaN(graph.activation[row]!)) facts.push(`activation ${formatNumber(graph.activation[row]!)}`);
    if (kind !== LOGIT) facts.push(`influence ${formatFraction(graph.influence[row]!)}`);
    this.element.replaceChildren(
      title,
      ...(label ? [h("div", { class: "ctw-label" }, label)] : []),
      h("div", { class: "ctw-muted" }, facts.join(" · ")),
    );
  }
}
