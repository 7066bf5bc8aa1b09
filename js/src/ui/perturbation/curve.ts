/** Logits of the likeliest tokens against the strength of the active box, with a line that follows the hand. */

import { formatNumber, MINUS, visibleToken } from "../../core/format";
import type { Curve } from "../../core/perturbation/perturbation";
import type { PerturbationSession } from "../../core/perturbation/session";
import { TICKS } from "../../core/perturbation/strength";
import { s } from "../parts/dom";

const HIGH = 190;
const [LEFT, TOP, BOTTOM, NAMES] = [30, 26, 30, 80];
/** Lines differ by their dashes too, not by shade alone. */
const DASHES = ["", "6 3", "2 3", "8 3 2 3", "1 2"];
const LEAST_GAP = 12;

export interface CurvePlot {
  readonly element: SVGGElement;
  readonly height: number;
  lay(width: number): void;
  paint(): void;
}

export function createCurve(session: PerturbationSession): CurvePlot {
  const element = s("g", { class: "ctw-p-sweep" });
  let width = 300;
  let drawn: Curve | null = null;
  let [at, level] = [(value: number): number => value, (value: number): number => value];
  const hand = s("g", { class: "ctw-p-hand" });

  const draw = (curve: Curve | null): void => {
    drawn = curve;
    const name = session.synced.active.value;
    if (!curve) {
      const why = session.grid ? "computed for one slider at a time" : "drag a slider";
      element.replaceChildren(s("text", { class: "ctw-p-heading", x: 0, y: 10 }, `logit against strength: ${why}`));
      return;
    }
    const all = curve.logits.flat();
    const [low, high] = padded(Math.min(...all), Math.max(...all));
    const [first, last] = [curve.values[0]!, curve.values.at(-1)!];
    at = (value) => LEFT + ((width - LEFT - NAMES) * (value - first)) / (last - first || 1);
    level = (value) => TOP + ((HIGH - TOP - BOTTOM) * (high - value)) / (high - low);
    element.replaceChildren(
      s("text", { class: "ctw-p-heading", x: 0, y: 10 }, `logit against strength of ${visibleToken(name ?? "", 22)}`),
      ...axes(at, level, [low, high], width),
      ...curve.logits.map((line, i) =>
        s("path", {
          class: `ctw-p-line ctw-p-line-${i}`,
          "stroke-dasharray": DASHES[i],
          d: line
            .map((value, j) => `${j === 0 ? "M" : "L"}${at(curve.values[j]!).toFixed(1)} ${level(value).toFixed(1)}`)
            .join(""),
        }),
      ),
      ...names(curve, level, at(last)),
      hand,
    );
    follow();
  };
  const follow = (): void => {
    const name = session.synced.active.value;
    if (!drawn || name === null || drawn.name !== name) {
      hand.replaceChildren();
      return;
    }
    hand.replaceChildren(...handParts(drawn, session.strength(name), at, level));
  };
  const paint = (): void => {
    if (session.curve.value !== drawn || !drawn) draw(session.curve.value);
    else follow();
  };
  const lay = (to: number): void => {
    width = to;
    draw(session.curve.value);
  };
  return { element, height: HIGH, lay, paint };
}

/** A line at a strength, and a dot on every curve at the nearest strength that was computed. */
function handParts(
  { values, logits }: Curve,
  strength: number,
  at: (value: number) => number,
  level: (value: number) => number,
): SVGElement[] {
  const value = Math.max(values[0]!, Math.min(values.at(-1)!, strength));
  const near = values.reduce((best, one, i) => (Math.abs(one - value) < Math.abs(values[best]! - value) ? i : best), 0);
  return [
    s("path", { class: "ctw-p-tick", d: `M${at(value)} ${TOP}V${HIGH - BOTTOM}` }),
    ...logits.map((line, i) =>
      s("circle", { class: `ctw-p-dot ctw-p-line-${i}`, cx: at(values[near]!), cy: level(line[near]!), r: 3.5 }),
    ),
  ];
}

function padded(low: number, high: number): [low: number, high: number] {
  const room = Math.max(0.5, (high - low) * 0.06);
  return [low - room, high + room];
}

function axes(
  at: (value: number) => number,
  level: (value: number) => number,
  [low, high]: readonly [number, number],
  width: number,
): SVGElement[] {
  const bottom = HIGH - BOTTOM;
  const step = [1, 2, 5, 10, 20, 50, 100].find((size) => (high - low) / size <= 5) ?? 200;
  const levels: number[] = [];
  for (let value = Math.ceil(low / step) * step; value <= high; value += step) levels.push(value);
  return [
    ...levels.flatMap((value) => [
      s("path", { class: "ctw-p-axis", d: `M${LEFT} ${level(value)}H${width - NAMES}` }),
      s("text", { class: "ctw-p-scale", x: LEFT - 5, y: level(value) + 3, "text-anchor": "end" }, formatTick(value)),
    ]),
    ...TICKS.map((tick) =>
      s("text", { class: "ctw-p-scale", x: at(tick), y: bottom + 13, "text-anchor": "middle" }, formatTick(tick)),
    ),
    s("path", { class: "ctw-p-axis", d: `M${at(1)} ${TOP}V${bottom}`, "stroke-dasharray": "2 3" }),
    s("text", { class: "ctw-p-scale", x: at(0), y: bottom + 26, "text-anchor": "middle" }, "strength (1: as it is)"),
  ];
}

function formatTick(value: number): string {
  return value === Math.round(value) ? `${value < 0 ? MINUS : ""}${Math.abs(value)}` : formatNumber(value, 2);
}

/** Tokens at the right ends of their lines, moved apart where they would overlap. */
function names(curve: Curve, level: (value: number) => number, x: number): SVGElement[] {
  const ends = curve.logits.map((line, i) => ({ i, y: level(line.at(-1)!) })).sort((a, b) => a.y - b.y);
  let least = Number.NEGATIVE_INFINITY;
  return ends.map(({ i, y }) => {
    least = Math.max(y, least + LEAST_GAP);
    const text = visibleToken(curve.tokens[i] ?? "", 11);
    return s("text", { class: `ctw-p-name ctw-p-line-${i}`, x: x + 6, y: least + 4 }, text);
  });
}
