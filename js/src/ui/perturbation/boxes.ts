/**
 * The supernode figure as a control. In every box one axis from −2 to 2 carries both: the bar is the activity as a
 * multiple of what it was (the tick at 1), the thumb is the strength that a hand gives it.
 */

import { formatShare, formatUnit, MINUS, visibleToken } from "../../core/format";
import { EMBEDDING, LOGIT } from "../../core/graph/graph";
import type { BoxEdge } from "../../core/graph/subgraph";
import {
  isDirect,
  type PerturbationBox,
  predictedActivity,
  predictedOutputs,
} from "../../core/perturbation/perturbation";
import type { PerturbationSession } from "../../core/perturbation/session";
import { STRONGEST, TICKS, WEAKEST } from "../../core/perturbation/strength";
import { type BoxLayout, type BoxPlace, layoutBoxes, WIDEST_BOX } from "../../core/plot/box_layout";
import { s } from "../parts/dom";
import type { Measure } from "../parts/text_measure";
import { boxText, boxWidth, edgeElements } from "../subgraph/box_figure";

export const TALL = 58;
const NARROWEST = 132;
const PADDING = 10;
/** Room for "−200 %" beside a name. */
const NUMBER = 50;
/** Of the axis, below the top of its box. */
const AXIS = 34;
const BAR = 8;
/** Edges that carry less of their target's input are left out. */
const LEAST_SHARE = 0.05;
const THUMB = 6;
const STEPS: Record<string, number> = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 };

/** "150 %", "−50 %"; a dash where nothing was active. */
export function percent(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  const rounded = Math.round(value * 100);
  return `${rounded < 0 ? MINUS : ""}${Math.abs(rounded)} %`;
}

/** Widths of texts: of tokens and details, and of a slider's name. */
export interface Measures {
  readonly plain: Measure;
  readonly title: Measure;
}

interface Shown {
  readonly box: PerturbationBox;
  readonly element: SVGGElement;
  paint(): void;
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

export function diamond(x: number, y: number, size = 4.5): string {
  return `M${x} ${y - size}L${x + size} ${y}L${x} ${y + size}L${x - size} ${y}Z`;
}

/** As much of a name as `room` holds. */
function fitting(name: string, room: number, measure: Measure): string {
  let letters = 40;
  while (letters > 1 && measure(visibleToken(name, letters)) > room) letters -= 1;
  return visibleToken(name, letters);
}

function createSlider(
  session: PerturbationSession,
  box: PerturbationBox,
  place: BoxPlace,
  measure: Measure,
  abort: AbortSignal,
): Shown {
  const { graph } = session;
  const [left, top] = [place.x - place.width / 2, place.y - TALL / 2];
  const track = place.width - 2 * PADDING;
  const at = (value: number): number =>
    left + PADDING + (track * (Math.max(WEAKEST, Math.min(STRONGEST, value)) - WEAKEST)) / (STRONGEST - WEAKEST);
  const y = top + AXIS;
  const number = s("text", {
    class: "ctw-p-number",
    x: left + place.width - PADDING,
    y: top + 17,
    "text-anchor": "end",
  });
  const bar = s("rect", { class: "ctw-p-bar", y: y - BAR / 2, height: BAR });
  const thumb = s("circle", { class: "ctw-p-thumb", cy: y, r: THUMB });
  const predicted = s("path", { class: "ctw-p-predicted" });
  const title = s("title", {});
  const name = fitting(box.name, place.width - 2 * PADDING - NUMBER, measure);
  const element = s(
    "g",
    { class: "ctw-p-box ctw-p-slider", "data-name": box.name, tabindex: 0, role: "slider", "aria-label": box.name },
    s("rect", { class: "ctw-p-frame", x: left, y: top, width: place.width, height: TALL, rx: 8 }),
    s("text", { class: "ctw-p-title", x: left + PADDING, y: top + 17 }, name),
    number,
    s("path", { class: "ctw-p-axis", d: `M${at(WEAKEST)} ${y}H${at(STRONGEST)}` }),
    bar,
    ...TICKS.map((tick) => {
      const half = tick === 1 ? 7 : 3;
      return s("path", { class: tick === 1 ? "ctw-p-tick" : "ctw-p-axis", d: `M${at(tick)} ${y - half}v${2 * half}` });
    }),
    ...TICKS.map((tick) =>
      s("text", { class: "ctw-p-scale", x: at(tick), y: y + 18, "text-anchor": "middle" }, percentless(tick)),
    ),
    predicted,
    thumb,
    title,
  );
  element.setAttribute("aria-valuemin", String(WEAKEST));
  element.setAttribute("aria-valuemax", String(STRONGEST));
  const paint = (): void => {
    const { answer: source, prediction, synced } = session;
    const [answer, strength] = [source.value, session.strength(box.name)];
    const isSet = box.name in synced.strengths.value && strength !== 1;
    // A hand sees its own box follow at once; the others follow the model.
    const activity = isSet ? strength : (answer?.activity[box.name] ?? null);
    const direct = answer !== null && isDirect(graph, box, answer);
    element.classList.toggle("ctw-p-set", isSet);
    element.classList.toggle("ctw-p-direct", !isSet && direct);
    element.classList.toggle("ctw-p-active", synced.active.value === box.name);
    const [from, to] = [at(0), at(activity ?? 0)];
    bar.setAttribute("x", String(Math.min(from, to)));
    bar.setAttribute("width", String(Math.abs(to - from)));
    bar.classList.toggle("ctw-p-below", to < from);
    number.textContent = percent(activity);
    thumb.setAttribute("cx", String(at(strength)));
    const guess = isSet ? null : predictedActivity(graph, box, prediction.value.total);
    const alone = isSet ? null : predictedActivity(graph, box, prediction.value.direct);
    predicted.setAttribute("d", guess === null ? "" : diamond(at(guess), y));
    element.setAttribute("aria-valuenow", String(strength));
    element.setAttribute("aria-valuetext", `strength ${strength}, activity ${percent(activity)}`);
    const effect = isSet
      ? "set by hand"
      : direct
        ? "direct effects alone: they hold by construction"
        : "knock-on effects";
    title.textContent = [
      `${visibleToken(box.name, 200)}: ${box.features.length} ${box.features.length === 1 ? "feature" : "features"}`,
      `strength ${strength}; activity ${activity === null ? "none before" : formatShare(activity)} of what it was`,
      effect,
      ...(guess === null ? [] : [`the graph predicts ${percent(guess)} (${percent(alone)} by direct edges)`]),
    ].join("\n");
  };
  listen(session, box, element, (x) => WEAKEST + ((x - left - PADDING) / track) * (STRONGEST - WEAKEST), abort);
  return { box, element, paint };
}

function percentless(tick: number): string {
  return `${tick < 0 ? MINUS : ""}${Math.abs(tick)}`;
}

/** A drag sets the strength, a double click or Enter takes it back, arrow keys step. */
function listen(
  session: PerturbationSession,
  { name }: PerturbationBox,
  element: SVGGElement,
  valueAt: (x: number) => number,
  abort: AbortSignal,
): void {
  let isDragged = false;
  const place = (event: PointerEvent): number => {
    const { a, e } = element.getScreenCTM()!;
    return (event.clientX - e) / a;
  };
  const down = (event: PointerEvent): void => {
    if (event.button !== 0) return;
    element.focus();
    session.begin(name);
    isDragged = true;
    element.setPointerCapture(event.pointerId);
    event.preventDefault();
  };
  const move = (event: PointerEvent): void => {
    if (isDragged) session.set(name, valueAt(place(event)));
  };
  const up = (event: PointerEvent): void => {
    if (!isDragged) return;
    isDragged = false;
    // A press without a move goes where it was made, but a double click must not.
    if (event.type === "pointerup" && event.detail < 2) session.set(name, valueAt(place(event)));
    session.end();
  };
  const key = (event: KeyboardEvent): void => {
    const step = STEPS[event.key];
    const end = { Home: WEAKEST, End: STRONGEST, Enter: 1, " ": 1 }[event.key];
    if (step !== undefined) session.change(name, session.strength(name) + step * stepOf(session, event.shiftKey));
    else if (end !== undefined) session.change(name, end);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  element.addEventListener("pointerdown", down, { signal: abort });
  element.addEventListener("pointermove", move, { signal: abort });
  element.addEventListener("pointerup", up, { signal: abort });
  element.addEventListener("pointercancel", up, { signal: abort });
  element.addEventListener("dblclick", () => session.change(name, 1), { signal: abort });
  element.addEventListener("keydown", key, { signal: abort });
}

/** A tenth, with Shift a half; in an exported page as far as the nearest two values that were computed. */
function stepOf({ grid }: PerturbationSession, isWide: boolean): number {
  if (grid) return Math.min(...grid.values.slice(1).map((value, i) => value - grid.values[i]!));
  return isWide ? 0.5 : 0.1;
}
