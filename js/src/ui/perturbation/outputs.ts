/** Next-token probabilities before and after, with changed ranks and what the graph predicted. */

import { formatNumber, formatUnit, visibleToken } from "../../core/format";
import { type Output, predictedOutputs } from "../../core/perturbation/perturbation";
import type { PerturbationSession } from "../../core/perturbation/session";
import { s } from "../parts/dom";
import { diamond } from "./marks";

const ROW = 22;
const TOP = 22;
const MOST = 8;
/** Tokens below this before and after are left out, but for the first few. */
const LEAST = 0.005;
const FEWEST = 4;
const NAME = 92;
const NUMBERS = 88;

export interface Outputs {
  readonly element: SVGGElement;
  readonly height: number;
  lay(width: number): void;
  paint(): void;
}

/** Tokens worth a row, by falling probability now, then before. */
function ranked(outputs: readonly Output[]): Output[] {
  const best = (output: Output): number => Math.max(output.before, output.after);
  const chosen = [...outputs]
    .sort((a, b) => best(b) - best(a))
    .filter((output, i) => i < FEWEST || (i < MOST && best(output) >= LEAST));
  return chosen.sort((a, b) => b.after - a.after || b.before - a.before);
}

export function createOutputs(session: PerturbationSession): Outputs {
  const element = s("g", { class: "ctw-p-outputs" });
  let width = 300;
  const paint = (): void => {
    const answer = session.answer.value;
    if (!answer) return;
    const guesses = predictedOutputs(session.graph, answer, session.prediction.value.total);
    const anyMoved = Object.values(answer.strengths).some((strength) => strength !== 1);
    const track = Math.max(40, width - NAME - NUMBERS);
    const rows = ranked(answer.outputs).map((output, i) => {
      const y = TOP + ROW * i;
      const guess = anyMoved ? guesses.get(output.id) : undefined;
      return s(
        "g",
        {},
        s("text", { class: "ctw-p-title ctw-p-code", x: 0, y: y + 14 }, visibleToken(output.token, 13)),
        s("rect", { class: "ctw-p-before", x: NAME, y: y + 2, width: track * output.before, height: 5 }),
        s("rect", { class: "ctw-p-bar", x: NAME, y: y + 8, width: track * output.after, height: 8 }),
        ...(guess === undefined
          ? []
          : [s("path", { class: "ctw-p-predicted", d: diamond(NAME + track * guess, y + 12) })]),
        s("text", { class: "ctw-p-number", x: width - 44, y: y + 14, "text-anchor": "end" }, formatUnit(output.after)),
        s("text", { class: "ctw-p-rank", x: width, y: y + 14, "text-anchor": "end" }, rankText(output)),
        s("title", {}, tell(output, guess)),
      );
    });
    element.replaceChildren(
      s("text", { class: "ctw-p-heading", x: 0, y: 10 }, "next token"),
      s("text", { class: "ctw-p-scale", x: NAME, y: 10 }, "before (grey), now, ◇ graph"),
      ...rows,
    );
  };
  const lay = (to: number): void => {
    width = to;
  };
  return { element, height: TOP + ROW * MOST, lay, paint };
}

/** "▲2": places won; "" where the rank is as before. */
function rankText({ rankBefore, rankAfter }: Output): string {
  if (rankBefore === rankAfter) return "";
  const places = Math.abs(rankBefore - rankAfter);
  return `${rankAfter < rankBefore ? "▲" : "▼"}${places > 999 ? "999+" : places}`;
}

function tell(output: Output, guess: number | undefined): string {
  const { token, before, after, rankBefore, rankAfter } = output;
  return [
    `“${visibleToken(token, 200)}”: ${formatNumber(after)} now, ${formatNumber(before)} before`,
    `place ${rankAfter + 1} now, ${rankBefore + 1} before`,
    ...(guess === undefined ? [] : [`the graph predicts ${formatNumber(guess)} (its other outputs kept)`]),
  ].join("\n");
}
