/** The subgraph as a drawing: edges by sign and weight, then boxes with a name and what is in them. */

import { formatCounted, formatShare, formatWeight, visibleToken } from "../../core/format";
import { nodeName, placeName, whereOf } from "../../core/graph/describe";
import { EMBEDDING, ERROR, FEATURE, type Graph, LOGIT } from "../../core/graph/graph";
import type { Box, BoxEdge } from "../../core/graph/subgraph";
import { BOX_HEIGHT, type BoxLayout, type BoxPlace, NARROWEST_BOX } from "../../core/plot/box_layout";
import { s } from "../parts/dom";
import { shapeIcon } from "../parts/shapes";
import type { Measure } from "../parts/text_measure";

/** Edges drawn at most; the strongest first. */
export const MOST_BOX_EDGES = 120;
const LETTERS = 24;
const ICON = 18;
const PADDING = 8;
const ARROW = 5;
const STACK = 3;

/** The two lines of a box. */
export function boxText(graph: Graph, box: Box): { title: string; isCode: boolean; detail: string } {
  const row = box.rows[0]!;
  if (box.group !== null) {
    return { title: visibleToken(box.name, LETTERS), isCode: false, detail: formatCounted(box.rows.length, "node") };
  }
  const name = visibleToken(nodeName(graph, row), LETTERS);
  const place = visibleToken(whereOf(graph, row), 12);
  if (box.name === "") return { title: name, isCode: true, detail: place };
  return { title: visibleToken(box.name, LETTERS), isCode: false, detail: `${visibleToken(name, 14)} ${place}` };
}

/** Width of a box by its texts, of which `measure` and `bold` know the width in code and in names. */
export function boxWidth(graph: Graph, box: Box, measure: Measure, bold = measure): number {
  const { title, isCode, detail } = boxText(graph, box);
  const icon = box.group === null ? ICON : 0;
  const widest = Math.max((isCode ? measure : bold)(title), measure(detail));
  return Math.max(NARROWEST_BOX, Math.ceil(widest + 2 * PADDING + icon));
}

export function boxElement(graph: Graph, box: Box, { x, y, width }: BoxPlace, isMarked: boolean): SVGGElement {
  const { title, isCode, detail } = boxText(graph, box);
  const kind = graph.kind[box.rows[0]!]!;
  const [left, top] = [x - width / 2, y - BOX_HEIGHT / 2];
  const classes = [
    "ctw-box",
    ...(box.group === null ? [] : ["ctw-supernode"]),
    ...(kind === ERROR ? ["ctw-dashed"] : []),
  ];
  const element = s("g", {
    class: classes.join(" "),
    "data-key": box.key,
    tabindex: 0,
    role: "button",
    "aria-pressed": String(isMarked),
  });
  const rounding: Record<number, number> = { [EMBEDDING]: 0, [FEATURE]: 4, [LOGIT]: 12 };
  const rx = box.group === null ? (rounding[kind] ?? 2) : 8;
  if (box.group !== null) {
    element.append(
      s("rect", { class: "ctw-box-back", x: left + STACK, y: top + STACK, width, height: BOX_HEIGHT, rx }),
    );
  }
  element.append(s("rect", { class: "ctw-box-frame", x: left, y: top, width, height: BOX_HEIGHT, rx }));
  let text = left + PADDING;
  if (box.group === null) {
    const icon = shapeIcon(kind);
    icon.setAttribute("x", String(text - 2));
    icon.setAttribute("y", String(top + 6));
    element.append(icon);
    text += ICON - 2;
  }
  element.append(
    s("text", { class: isCode ? "ctw-box-title ctw-box-code" : "ctw-box-title", x: text, y: top + 16 }, title),
    s("text", { class: "ctw-box-detail", x: text, y: top + 30 }, detail),
    s("title", {}, [...(box.name ? [visibleToken(box.name, 400)] : []), ...members(graph, box)].join("\n")),
  );
  return element;
}

function members(graph: Graph, box: Box): string[] {
  return box.rows.slice(0, 12).map((row) => `${nodeName(graph, row)} at ${placeName(graph, row)}`);
}

/** Edges as curves with a head at their target, weak ones below. */
export function edgeElements(
  boxes: readonly Box[],
  edges: readonly BoxEdge[],
  layout: BoxLayout,
  tall = BOX_HEIGHT,
): SVGGElement[] {
  const shown = edges.slice(0, MOST_BOX_EDGES);
  const strongest = Math.max(1e-9, ...shown.map(({ weight }) => weight));
  return shown.reverse().map((edge) => {
    const size = Math.sqrt(edge.weight / strongest);
    const [from, to] = [layout.places[edge.source]!, layout.places[edge.target]!];
    const up = from.y >= to.y;
    const start = from.y + (up ? -tall / 2 : tall / 2);
    // Below the second rectangle that a group stands on.
    const tip = to.y + (up ? tall / 2 + (boxes[edge.target]!.group === null ? 0 : STACK) : -tall / 2);
    const base = tip + (up ? ARROW : -ARROW);
    const bend = Math.max(12, Math.abs(start - base) / 3) * (up ? 1 : -1);
    const half = 2 + 1.5 * size;
    // In at a point that leans to where the edge comes from, so that heads do not cover one another.
    const x = to.x + Math.max(-to.width / 3, Math.min(to.width / 3, (from.x - to.x) / 6));
    const element = s(
      "g",
      {
        class: `ctw-box-edge ${edge.signed < 0 ? "ctw-negative" : "ctw-positive"}`,
        "data-ends": `${edge.source} ${edge.target}`,
        opacity: (0.14 + 0.8 * size).toFixed(3),
      },
      s("path", {
        class: "ctw-box-line",
        d: `M${from.x} ${start}C${from.x} ${start - bend} ${x} ${base + bend} ${x} ${base}`,
        "stroke-width": (0.7 + 3.3 * size).toFixed(2),
      }),
      s("path", { class: "ctw-box-head", d: `M${x} ${tip}L${x - half} ${base}L${x + half} ${base}Z` }),
      s("title", {}, edgeText(boxes, edge)),
    );
    return element;
  });
}

function edgeText(boxes: readonly Box[], { source, target, weight, signed }: BoxEdge): string {
  const name = (box: number): string => (boxes[box]!.name ? `“${visibleToken(boxes[box]!.name, 60)}”` : "this box");
  return `${formatShare(weight)} of the input of ${name(target)} from ${name(source)}, ${formatWeight(signed)} with signs`;
}
