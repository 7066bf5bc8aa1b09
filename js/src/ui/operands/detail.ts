/** One plot enlarged: its axes, number weights, and its neighbours in the graph, from which one walks on. */

import type { ReadonlySignal } from "@preact/signals-core";
import { formatNumber, formatShare, formatWeight } from "../../core/format";
import { live } from "../../core/lifetime";
import { type Ramp, signRamp } from "../../core/operands/heatmap";
import { FAMILIES, type Link, rowName } from "../../core/operands/operands";
import type { OperandSession } from "../../core/operands/session";
import type { Palette } from "../../core/palette";
import { button, h, muted, on } from "../parts/dom";
import { Heatmap } from "./heatmap";
import { axis, followPointer, markCell, OperandPlot, overlayPath } from "./plot";
import { weightPlots } from "./weights";

const SIZE = 300;

export interface Detail {
  readonly element: HTMLElement;
  /** Put the focus on the plot. */
  focus(): void;
}

/** The enlarged plot of `row`, until `abort`. */
export function createDetail(
  session: OperandSession,
  row: number,
  ramp: ReadonlySignal<Ramp>,
  palette: ReadonlySignal<Palette>,
  abort: AbortSignal,
): Detail {
  const { operands, synced } = session;
  const big = h("div", {
    role: "application",
    tabindex: 0,
    "aria-roledescription": "operand plot",
  });
  const plot = new OperandPlot(session, big);
  const most = Math.max(operands.a.length, operands.b.length);
  const frame = h("div", { class: "ctw-o-item ctw-o-big" }, big, axis(session, "a"), axis(session, "b"));
  frame.style.setProperty("--size", `${most * Math.max(1, Math.round(SIZE / most))}px`);
  live(abort, () => plot.paint(row, ramp.value));
  live(abort, () => plot.overlay(overlayPath(session)));
  live(abort, () => {
    markCell(frame, operands, synced.hovered.value);
    big.setAttribute("aria-label", `${session.speak(row)}; arrow keys move the cell`);
  });
  followPointer(frame, session, () => row, abort);
  const weights = h("div", { class: "ctw-o-weight-plots" });
  live(abort, () => weights.replaceChildren(...weightParts(session, row, signRamp(palette.value), abort)));
  const main = h("div", { class: "ctw-o-main" }, frame, weights);
  const side = (direction: "inputs" | "outputs"): HTMLElement => neighbours(session, row, direction, ramp, abort);
  const element = h(
    "section",
    { class: "ctw-o-detail", "aria-label": `${rowName(operands, row)} enlarged` },
    head(session, row, abort),
    operands.links
      ? h("div", { class: "ctw-o-columns" }, side("inputs"), main, side("outputs"))
      : h("div", { class: "ctw-o-alone" }, main, muted("Give graph=graph to see inputs and outputs beside it.")),
  );
  return { element, focus: () => big.focus({ preventScroll: true }) };
}

function head(session: OperandSession, row: number, abort: AbortSignal): HTMLElement {
  const { operands } = session;
  const { kind, name, explained } = operands.families[row]!;
  const facts = muted();
  live(abort, () => {
    const influence = operands.influence[row]!;
    facts.textContent = [
      kind === "other" ? "in no family" : FAMILIES[kind],
      ...(kind === "other" || kind === "active" ? [] : [`explains ${formatShare(explained)} of the variance`]),
      `peak ${formatNumber(session.fields.value[row]!.peak)}`,
      ...(Number.isNaN(influence) ? [] : [`influence ${formatNumber(influence, 2)}`]),
    ].join(" · ");
  });
  const label = operands.labels[row];
  return h(
    "header",
    { class: "ctw-o-head" },
    button("← Sheet", "Back to the sheet (Esc)", abort, () => session.close()),
    h("h3", {}, h("span", { class: "ctw-mono" }, rowName(operands, row)), ` ${name}`),
    ...(label && label !== name ? [h("span", {}, label)] : []),
    facts,
  );
}

function weightParts(session: OperandSession, row: number, ramp: Ramp, abort: AbortSignal): HTMLElement[] {
  const { output, embedding, numbers, noWeights } = session.operands;
  const [writes, reads] = [output[row], embedding[row]];
  if (!writes || !reads) return [h("p", { class: "ctw-muted" }, noWeights)];
  return [
    weightPlots("writes to answers", "its decoder vectors through the unembedding", writes, numbers, ramp, abort),
    weightPlots("reads from numbers", "embeddings of the numbers on its encoder vector", reads, numbers, ramp, abort),
  ];
}

function neighbours(
  session: OperandSession,
  row: number,
  direction: "inputs" | "outputs",
  ramp: ReadonlySignal<Ramp>,
  abort: AbortSignal,
): HTMLElement {
  const found = session.operands.links?.[row]?.[direction];
  const key = direction === "inputs" ? "[" : "]";
  const list = h("ul", {}, ...(found ?? []).map((link) => h("li", {}, neighbour(session, link, ramp, abort))));
  return h(
    "section",
    { class: `ctw-o-links ctw-o-${direction}`, "aria-label": direction },
    h("h4", { title: `strongest edges of the graph; ${key} goes to the first with a plot` }, `strongest ${direction}`),
    found && found.length > 0 ? list : h("p", { class: "ctw-muted" }, `no ${direction} in the graph`),
  );
}

function neighbour(session: OperandSession, link: Link, ramp: ReadonlySignal<Ramp>, abort: AbortSignal): HTMLElement {
  const { operands } = session;
  const { row, node, weight } = link;
  const sign = h("span", { class: `ctw-o-sign ctw-${weight < 0 ? "negative" : "positive"}` }, formatWeight(weight));
  const name = h("span", { class: "ctw-mono" }, session.linkName(link));
  if (row === null) {
    const at = node[0] === "logit" ? "output" : `at “${session.token(node[2])}”`;
    return h("span", { class: "ctw-o-other", title: "has no plot here" }, sign, name, muted(at));
  }
  const map = new Heatmap(operands.b.length, operands.a.length);
  live(abort, () => map.field(session.fields.value[row]!, session.topOf(row), ramp.value));
  const family = operands.families[row]!.name;
  const press = h(
    "button",
    { type: "button", class: "ctw-o-neighbour", title: session.speak(row) },
    map.canvas,
    h("span", {}, sign, " ", h("b", {}, family), " ", name),
  );
  on(press, "click", () => session.open(row), abort);
  return press;
}
