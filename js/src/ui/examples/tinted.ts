/** Examples as lines of tinted tokens, the peaks below each other; a line opens to its whole context. */

import { activationOf, type Example, type Piece } from "../../core/examples/card";
import { tint, visibleText } from "../../core/examples/tinted";
import { formatNumber } from "../../core/format";
import { h, on } from "../parts/dom";
import { take } from "../parts/keys";

/** A line that a click or Enter opens. */
export function exampleLine(example: Example, maximum: number): HTMLElement {
  const line = h(
    "div",
    { class: "ctw-example", role: "button", tabindex: -1, "aria-expanded": "false" },
    ...exampleParts(example, maximum),
  );
  const where = `text ${example.text}, token ${example.position + 1}`;
  const plain = example.pieces.map(({ text }) => visibleText(text)).join("");
  line.setAttribute("aria-label", `${plain}; ${formatNumber(peakOf(example))}, ${where}`);
  return line;
}

/** The text ahead of the peak, and from the peak on. */
export function exampleParts(example: Example, maximum: number): [ahead: HTMLElement, behind: HTMLElement] {
  const spans = example.pieces.map((piece, place) => pieceSpan(piece, maximum, place === example.peak));
  const ahead = h("bdi", { dir: "ltr" }, ...spans.slice(0, example.peak));
  return [h("span", { class: "ctw-ahead" }, ahead), h("span", { class: "ctw-behind" }, ...spans.slice(example.peak))];
}

function peakOf(example: Example): number {
  return activationOf(example.pieces[example.peak]!);
}

function pieceSpan(piece: Piece, maximum: number, isPeak: boolean): HTMLElement {
  const text = visibleText(piece.text);
  const activation = activationOf(piece);
  const values = piece.activations.map((value) => formatNumber(value, 4)).join(", ");
  const span = h(
    "span",
    { class: isPeak ? "ctw-piece ctw-peak" : "ctw-piece", "data-tip": `“${text.trim()}”  ${values}` },
    text,
  );
  if (activation > 0) span.style.setProperty("--ctw-tint", tint(activation, maximum).toFixed(3));
  return span;
}

/** Open and close lines, and walk them: up and down between lines, Enter opens, left and right read tokens. */
export function walkExamples(container: HTMLElement, tip: (target: Element | null) => void, abort: AbortSignal): void {
  const lines = (): HTMLElement[] => [...container.querySelectorAll<HTMLElement>(".ctw-example")];
  const toggle = (line: HTMLElement): void =>
    line.setAttribute("aria-expanded", String(line.getAttribute("aria-expanded") !== "true"));
  const lineOf = (event: Event): HTMLElement | null => (event.target as Element).closest<HTMLElement>(".ctw-example");
  const click = (event: MouseEvent): void => {
    const line = lineOf(event);
    // Who marks text to copy it does not mean to close it.
    if (line && getSelection()?.isCollapsed !== false) toggle(line);
  };
  let token = -1;
  const key = (event: KeyboardEvent): void => {
    const line = lineOf(event);
    if (!line) return;
    const all = lines();
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const along = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step !== undefined) {
      token = -1;
      tip(null);
      all[Math.min(all.length - 1, Math.max(0, all.indexOf(line) + step))]!.focus();
    } else if (along !== undefined) {
      const pieces = [...line.querySelectorAll(".ctw-piece")];
      const start = pieces.findIndex((piece) => piece.classList.contains("ctw-peak")) - along;
      token = Math.min(pieces.length - 1, Math.max(0, (token < 0 ? start : token) + along));
      tip(pieces[token]!);
    } else if (event.key === "Enter" || event.key === " ") toggle(line);
    else return;
    // The notebook has other plans for these keys.
    take(event);
  };
  const focus = (event: FocusEvent): void => {
    const focused = lineOf(event);
    for (const line of lines()) line.tabIndex = line === focused ? 0 : -1;
  };
  on(container, "click", click, abort);
  on(container, "keydown", key, abort);
  on(container, "focusin", focus, abort);
}
