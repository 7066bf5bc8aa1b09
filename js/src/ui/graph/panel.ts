/** The side panel: the node in focus with its numbers and connections, or where to start when there is none. */

import { computed } from "@preact/signals-core";
import { formatFraction, formatNumber, formatShare, formatUnit } from "../../core/format";
import { nodeName, placeName } from "../../core/graph/describe";
import { EMBEDDING, FEATURE, KINDS, keyOf, LOGIT } from "../../core/graph/graph";
import type { Session } from "../../core/graph_widget/session";
import { live } from "../../core/lifetime";
import { h, muted, on, pressable } from "../parts/dom";
import { editText } from "../parts/edit_text";
import { shapeIcon } from "../parts/shapes";
import { connectionList, linkRows, rowList, scrolling, strengthRow } from "./connection_list";
import { createSlots, type PanelHost } from "./panel_slot";

export interface Panel {
  readonly element: HTMLElement;
  /** Type a label for the node that the panel describes. */
  label(): void;
}

/** `leave` takes the focus when a label is done. */
export function createPanel(session: Session, leave: () => void, abort: AbortSignal, host?: PanelHost): Panel {
  const head = h("div", { class: "ctw-panel-head" });
  const body = h("div", { class: "ctw-panel-body" });
  const panel = h(
    "aside",
    { class: "ctw-panel", "aria-label": "node details" },
    head,
    body,
    createSlots(session, host, abort),
  );
  linkRows(body, session, abort);
  on(
    head,
    "click",
    (event) => {
      const row = session.described.peek();
      if (row === null) return;
      const { action } = (event.target as HTMLElement).dataset;
      if (action === "pin") session.togglePin(row);
      if (action === "path") session.toggleEnd(row);
      if ((event.target as Element).closest(".ctw-label")) label();
    },
    abort,
  );
  const label = (): void => {
    const row = session.described.peek();
    if (row === null) return;
    session.select(row);
    const done = (text: string | null): void => {
      if (text !== null && text !== session.label(row)) session.edits.label(row, text);
      leave();
    };
    const { input, start } = editText({ text: session.label(row), name: "Label of the node", done }, abort);
    // Not into the head, which is made anew when another node is hovered.
    panel.append(input);
    start();
  };
  const isPinned = computed(() => session.described.value !== null && session.isPinned(session.described.value));
  live(abort, () => {
    const row = session.described.value;
    session.synced.labels.value;
    head.replaceChildren(...(row === null ? emptyHead(session) : nodeHead(session, row, isPinned.value)));
  });
  live(abort, () => {
    const row = session.described.value;
    session.synced.labels.value;
    session.visible.value;
    // New elements start at their top; setting scrollTop of old ones would make the browser lay out at once.
    body.replaceChildren(...(row === null ? emptyBody(session) : nodeBody(session, row)));
  });
  return { element: panel, label };
}

function nodeHead(session: Session, row: number, isPinned: boolean): HTMLElement[] {
  const { graph } = session;
  const kind = graph.kind[row]!;
  const pin = pressable(
    { title: "(P)", "aria-pressed": String(isPinned), "data-action": "pin" },
    isPinned ? "Unpin" : "Pin",
  );
  const isSecond = session.pathRows.value.length === 1 && session.pathRows.value[0] !== row;
  const path = pressable(
    { class: "ctw-button ctw-end", title: "(T)", "data-action": "path" },
    isSecond ? "Paths to here" : "Paths from here",
  );
  const name = h(
    "h3",
    { class: "ctw-title" },
    shapeIcon(kind),
    h("span", { class: "ctw-mono" }, nodeName(graph, row)),
    path,
    pin,
  );
  const label = session.label(row);
  const subtitle = h("p", { class: "ctw-place" });
  const labelled = pressable(
    { class: label ? "ctw-label" : "ctw-label ctw-muted", title: "Write a label (L)" },
    label || "add label",
  );
  subtitle.append(labelled, " · ");
  if (kind === EMBEDDING || kind === LOGIT) subtitle.append(`${KINDS[kind]}, `);
  subtitle.append(`token ${graph.position[row]! + 1} `);
  if (kind !== EMBEDDING) subtitle.append(h("span", { class: "ctw-mono" }, `“${placeName(graph, row)}”`));
  return [name, subtitle, facts(session, row)];
}

function facts(session: Session, row: number): HTMLElement {
  const { graph } = session;
  const list = h("div", { class: "ctw-facts" });
  const add = (name: string, value: string, title: string): void =>
    list.append(h("span", { title }, muted(`${name} `), h("b", {}, value)));
  const kind = graph.kind[row]!;
  const [activation, influence] = [graph.activation[row]!, graph.influence[row]!];
  if (kind === LOGIT) add("probability", formatUnit(graph.probability[row]!), String(graph.probability[row]));
  if (!Number.isNaN(activation)) add("activation", formatNumber(activation), String(activation));
  if (kind !== LOGIT)
    add("influence", formatFraction(influence), `${influence}: sum over all paths from here to the output`);
  if (kind === FEATURE || kind === LOGIT) {
    add("error in input", formatShare(graph.errorShare[row]!), "share that the features do not explain");
  }
  return list;
}

function nodeBody(session: Session, row: number): HTMLElement[] {
  const kind = session.graph.kind[row]!;
  const hasInputs = kind !== EMBEDDING && KINDS[kind] !== "error";
  return [
    ...(hasInputs ? [connectionList(session, row, "inputs")] : []),
    ...(kind === LOGIT ? [] : [connectionList(session, row, "outputs")]),
  ];
}

function emptyHead(session: Session): HTMLElement[] {
  const wanted = session.synced.selected.value;
  if (wanted !== null && session.selectedRow.value === null) {
    const text = `${keyOf(wanted)} is not among the strongest nodes.`;
    return [h("h3", { class: "ctw-title" }, "Not in this view"), h("p", { class: "ctw-place" }, text)];
  }
  return [
    h("h3", { class: "ctw-title" }, "Strongest features"),
    h(
      "p",
      { class: "ctw-place" },
      "by influence on the output. Hover a node for its inputs and outputs, click to keep it.",
    ),
  ];
}

function emptyBody(session: Session): HTMLElement[] {
  const { graph } = session;
  const visible = session.visible.value;
  const features = Array.from(graph.kind.keys()).filter((row) => visible[row] && graph.kind[row] === FEATURE);
  features.sort((a, b) => graph.influence[b]! - graph.influence[a]!);
  if (features.length === 0) {
    return [
      scrolling(
        "strongest features",
        h("p", { class: "ctw-muted" }, "None passes the thresholds: raise the nodes slider."),
      ),
    ];
  }
  const section = scrolling("strongest features");
  section.append(rowList(section, features.length, (place) => strengthRow(session, features[place]!)));
  return [section];
}
