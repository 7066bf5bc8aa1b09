/**
 * The supernode figure as a control. In every box one axis from −2 to 2 carries both: the bar is the activity as a
 * multiple of what it was (the tick at 1), the thumb is the strength that a hand gives it.
 */

import { formatUnit } from "../../core/format";
import { EMBEDDING, LOGIT } from "../../core/graph/graph";
import type { BoxEdge } from "../../core/graph/subgraph";
import { type PerturbationBox, predictedOutputs } from "../../core/perturbation/perturbation";
import type { PerturbationSession } from "../../core/perturbation/session";
import { type BoxLayout, type BoxPlace, layoutBoxes, WIDEST_BOX } from "../../core/plot/box_layout";
import { s } from "../parts/dom";
import type { Measure } from "../parts/text_measure";
import { boxText, boxWidth, edgeElements } from "../subgraph/box_figure";
import { diamond, NUMBER, PADDING, type Shown, TALL } from "./marks";
import { createSlider } from "./slider";

const NARROWEST = 132;
/** Edges that carry less of their target's input are left out. */
const LEAST_SHARE = 0.05;

/** Widths of texts: of tokens and details, and of a slider's name. */
export interface Measures {
  readonly plain: Measure;
  readonly title: Measure;
}

export interface Boxes {
  readonly element: SVGGElement;
  /** Put everything into `width`; -> the height it takes. */
  lay(width: number): number;
  /** Bring bars, numbers and edges in step with the answer. */
  paint(): void;
}

export function createBoxes(session: PerturbationSession, measures: Measures, abort: AbortSignal): Boxes {
  const { graph, boxes, edges } = session;
  const element = s("g", { class: "ctw-p-boxes" });
  const widths = boxes.map((box) => widthOf(session, box, measures));
  let shown: Shown[] = [];
  let drawnEdges: SVGGElement[] = [];
  const paint = (): void => {
    for (const one of shown) one.paint();
    const activity = session.answer.value?.activity ?? {};
    for (const edge of drawnEdges) {
      const source = boxes[Number(edge.dataset["ends"]!.split(" ")[0])]!;
      const left = source.features.length === 0 ? 1 : Math.abs(activity[source.name] ?? 1);
      edge.style.opacity = String(0.12 + 0.88 * Math.min(1, left));
    }
  };
  const lay = (width: number): number => {
    const focused = element.querySelector<SVGGElement>(":focus")?.dataset["name"];
    const layout: BoxLayout = layoutBoxes(graph, boxes, widths, width, {}, TALL);
    drawnEdges = edgeElements(boxes, legible(edges), layout, TALL);
    shown = boxes.map((box, i) => createBox(session, box, layout.places[i]!, measures.title, abort));
    element.replaceChildren(...drawnEdges.map((edge) => s("g", {}, edge)), ...shown.map((one) => one.element));
    shown.find(({ box }) => box.name === focused)?.element.focus();
    paint();
    return layout.height;
  };
  return { element, lay, paint };
}

/** Edges of some weight, and the strongest one into every box: a figure of all would be a thicket. */
function legible(edges: readonly BoxEdge[]): BoxEdge[] {
  const reached = new Set<number>();
  return edges.filter(({ target, weight }) => {
    const isFirst = !reached.has(target);
    reached.add(target);
    return isFirst || weight >= LEAST_SHARE;
  });
}

function widthOf({ graph }: PerturbationSession, box: PerturbationBox, measures: Measures): number {
  if (box.features.length === 0) return Math.min(WIDEST_BOX, boxWidth(graph, { ...box, name: "" }, measures.plain));
  return Math.min(WIDEST_BOX, Math.max(NARROWEST, Math.ceil(measures.title(box.name)) + 2 * PADDING + NUMBER));
}

function createBox(
  session: PerturbationSession,
  box: PerturbationBox,
  place: BoxPlace,
  measure: Measure,
  abort: AbortSignal,
): Shown {
  if (box.features.length > 0) return createSlider(session, box, place, measure, abort);
  return graphEnd(session, box, place);
}

/** A token or an output: a name, and for an output its probability as a bar. */
function graphEnd(session: PerturbationSession, box: PerturbationBox, { x, y, width }: BoxPlace): Shown {
  const { graph } = session;
  const row = box.rows[0]!;
  const kind = graph.kind[row];
  const { title, detail } = boxText(graph, { ...box, name: "" });
  const high = kind === LOGIT ? TALL : 38;
  // Tokens stand on the upper end of their place, outputs fill it: edges reach both.
  const top = kind === EMBEDDING ? y - TALL / 2 : y - high / 2;
  const left = x - width / 2;
  const number = s("text", { class: "ctw-p-detail", x: left + PADDING, y: top + 30 }, detail);
  const element = s(
    "g",
    { class: "ctw-p-box ctw-p-end" },
    s("rect", { class: "ctw-p-frame", x: left, y: top, width, height: high, rx: kind === LOGIT ? 12 : 0 }),
    s("text", { class: "ctw-p-title ctw-p-code", x: left + PADDING, y: top + 16 }, title),
    number,
  );
  if (kind !== LOGIT) return { box, element, paint: () => {} };
  const track = width - 2 * PADDING;
  const bar = s("rect", { class: "ctw-p-bar", x: left + PADDING, y: top + 38, height: 6 });
  const before = s("path", { class: "ctw-p-tick" });
  const predicted = s("path", { class: "ctw-p-predicted" });
  element.append(bar, before, predicted, s("title", {}, "bar: probability now; line: before; diamond: predicted"));
  const paint = (): void => {
    const answer = session.answer.value;
    const output = answer?.outputs.find(({ id }) => id === graph.index[row]);
    if (!answer || !output) return;
    number.textContent = formatUnit(output.after);
    bar.setAttribute("width", String(track * output.after));
    before.setAttribute("d", `M${left + PADDING + track * output.before} ${top + 35}v12`);
    const guess = predictedOutputs(graph, answer, session.prediction.value.total).get(output.id);
    predicted.setAttribute("d", guess === undefined ? "" : diamond(left + PADDING + track * guess, top + 41));
  };
  return { box, element, paint };
}
