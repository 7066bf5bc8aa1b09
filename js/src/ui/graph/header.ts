/** The first line: what was asked, what the model answers, how much of it the graph explains. */

import { formatUnit, visibleToken } from "../../core/format";
import { tokenOf } from "../../core/graph/describe";
import { type Graph, LOGIT, type Scores } from "../../core/graph/graph";
import type { Session } from "../../core/graph_widget/session";
import { button, h, muted, pressable } from "../parts/dom";
import { linkRows } from "./connection_list";

const MOST_PREDICTIONS = 3;

export interface HeaderActions {
  readonly search: () => void;
  /** These two give back whether it is on now. */
  readonly legend: () => boolean;
  readonly tall: () => boolean;
  readonly fullScreen: (() => void) | null;
}

export function createHeader(session: Session, actions: HeaderActions, abort: AbortSignal): HTMLElement {
  const { graph } = session;
  const prompt = h(
    "span",
    { class: "ctw-prompt", title: graph.prompt.slice(0, 4000) },
    visibleToken(graph.prompt, 400),
  );
  const next = h("span", { class: "ctw-next" }, muted("next "), ...predictions(graph));
  linkRows(next, session, abort);
  const toggle = (text: string, title: string, press: () => boolean): HTMLElement => {
    const element = button(text, title, abort, () => element.setAttribute("aria-pressed", String(press())));
    element.setAttribute("aria-pressed", "false");
    return element;
  };
  const search = button("Search", "(/)", abort, actions.search);
  const buttons = h(
    "span",
    { class: "ctw-buttons" },
    search,
    toggle("Legend", "Marks and keys", actions.legend),
    toggle("Tall", "As high as the window", actions.tall),
  );
  if (actions.fullScreen) buttons.append(button("Full screen", "(Esc leaves)", abort, actions.fullScreen));
  return h(
    "header",
    { class: "ctw-header" },
    h("div", { class: "ctw-question" }, prompt, next),
    ...(graph.scores ? [scores(graph.scores, " of what leads to the output is no error")] : []),
    buttons,
  );
}

function predictions(graph: Graph): HTMLElement[] {
  const logits = Array.from(graph.kind.keys()).filter((row) => graph.kind[row] === LOGIT);
  logits.sort((a, b) => (graph.probability[b]! || 0) - (graph.probability[a]! || 0));
  return logits.slice(0, MOST_PREDICTIONS).map((row, rank) => {
    const probability = graph.probability[row]!;
    return pressable(
      { class: rank === 0 ? "ctw-prediction ctw-answer" : "ctw-prediction", "data-row": row },
      h("span", { class: "ctw-mono" }, `“${visibleToken(tokenOf(graph, row), 20)}”`),
      ...(probability >= 0 ? [h("span", { title: String(probability) }, formatUnit(probability))] : []),
    );
  });
}

/** Replacement and completeness, with all digits and `note` when pointed at. */
export function scores({ replacement, completeness }: Scores, note: string): HTMLElement {
  const part = (name: string, value: number): HTMLElement =>
    h("span", { title: `${value}${note}` }, muted(`${name} `), formatUnit(value));
  return h("span", { class: "ctw-scores" }, part("replacement", replacement), part("completeness", completeness));
}
