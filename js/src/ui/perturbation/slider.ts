/**
 * One supernode as a slider. A hand on it calls `session.set`, which writes the trait `strengths`; Python runs the model
 * and answers in the trait `_answer`, from which all boxes are painted.
 */

import { formatShare, MINUS, visibleToken } from "../../core/format";
import { isDirect, type PerturbationBox, predictedActivity } from "../../core/perturbation/perturbation";
import type { PerturbationSession } from "../../core/perturbation/session";
import { STRONGEST, TICKS, WEAKEST } from "../../core/perturbation/strength";
import type { BoxPlace } from "../../core/plot/box_layout";
import { on, s } from "../parts/dom";
import { take } from "../parts/keys";
import type { Measure } from "../parts/text_measure";
import { diamond, NUMBER, PADDING, percent, type Shown, TALL } from "./marks";

/** Of the axis, below the top of its box. */
const AXIS = 34;
const BAR = 8;
const THUMB = 6;
const STEPS: Record<string, number> = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 };

/** What moves on a slider. */
function sliderParts({ x, width }: BoxPlace, top: number) {
  const y = top + AXIS;
  return {
    number: s("text", { class: "ctw-p-number", x: x + width / 2 - PADDING, y: top + 17, "text-anchor": "end" }),
    bar: s("rect", { class: "ctw-p-bar", y: y - BAR / 2, height: BAR }),
    thumb: s("circle", { class: "ctw-p-thumb", cy: y, r: THUMB }),
    predicted: s("path", { class: "ctw-p-predicted" }),
    title: s("title", {}),
  };
}

/** The slider of `box` at `place`; `measure` knows the widths of names. */
export function createSlider(
  session: PerturbationSession,
  box: PerturbationBox,
  place: BoxPlace,
  measure: Measure,
  abort: AbortSignal,
): Shown {
  const [left, top] = [place.x - place.width / 2, place.y - TALL / 2];
  const track = place.width - 2 * PADDING;
  const at = (value: number): number =>
    left + PADDING + (track * (Math.max(WEAKEST, Math.min(STRONGEST, value)) - WEAKEST)) / (STRONGEST - WEAKEST);
  const y = top + AXIS;
  const parts = sliderParts(place, top);
  const name = fitting(box.name, place.width - 2 * PADDING - NUMBER, measure);
  const element = s(
    "g",
    {
      class: "ctw-p-box ctw-p-slider",
      "data-name": box.name,
      tabindex: 0,
      role: "slider",
      "aria-label": box.name,
      "aria-valuemin": WEAKEST,
      "aria-valuemax": STRONGEST,
    },
    s("rect", { class: "ctw-p-frame", x: left, y: top, width: place.width, height: TALL, rx: 8 }),
    s("text", { class: "ctw-p-title", x: left + PADDING, y: top + 17 }, name),
    parts.number,
    s("path", { class: "ctw-p-axis", d: `M${at(WEAKEST)} ${y}H${at(STRONGEST)}` }),
    parts.bar,
    ...TICKS.map((tick) => {
      const half = tick === 1 ? 7 : 3;
      return s("path", { class: tick === 1 ? "ctw-p-tick" : "ctw-p-axis", d: `M${at(tick)} ${y - half}v${2 * half}` });
    }),
    ...TICKS.map((tick) =>
      s("text", { class: "ctw-p-scale", x: at(tick), y: y + 18, "text-anchor": "middle" }, percentless(tick)),
    ),
    parts.predicted,
    parts.thumb,
    parts.title,
  );
  listen(session, box, element, (x) => WEAKEST + ((x - left - PADDING) / track) * (STRONGEST - WEAKEST), abort);
  return { box, element, paint: () => paint(session, box, element, parts, at, y) };
}

/** Bring bar, thumb, numbers and words in step with strengths, answer and prediction; `at` is the place of a value. */
function paint(
  session: PerturbationSession,
  box: PerturbationBox,
  element: SVGGElement,
  { number, bar, thumb, predicted, title }: ReturnType<typeof sliderParts>,
  at: (value: number) => number,
  y: number,
): void {
  const { graph, answer: source, prediction, synced } = session;
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
  const knockOn = direct ? "direct effects alone: they hold by construction" : "knock-on effects";
  title.textContent = [
    `${visibleToken(box.name, 200)}: ${box.features.length} ${box.features.length === 1 ? "feature" : "features"}`,
    `strength ${strength}; activity ${activity === null ? "none before" : formatShare(activity)} of what it was`,
    isSet ? "set by hand" : knockOn,
    ...(guess === null ? [] : [`the graph predicts ${percent(guess)} (${percent(alone)} by direct edges)`]),
  ].join("\n");
}

/** As much of a name as `room` holds. */
function fitting(name: string, room: number, measure: Measure): string {
  let letters = 40;
  while (letters > 1 && measure(visibleToken(name, letters)) > room) letters -= 1;
  return visibleToken(name, letters);
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
    take(event);
  };
  on(element, "pointerdown", down, abort);
  on(element, "pointermove", move, abort);
  on(element, "pointerup", up, abort);
  on(element, "pointercancel", up, abort);
  on(element, "dblclick", () => session.change(name, 1), abort);
  on(element, "keydown", key, abort);
}

/** A tenth, with Shift a half; in an exported page as far as the nearest two values that were computed. */
function stepOf({ grid }: PerturbationSession, isWide: boolean): number {
  if (grid) return Math.min(...grid.values.slice(1).map((value, i) => value - grid.values[i]!));
  return isWide ? 0.5 : 0.1;
}
