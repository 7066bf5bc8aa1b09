/** The legend of the operand widget: what every mark and name means, one click away. */

import { h, on } from "../parts/dom";

const MARKS = [
  ["plot", "one feature: a upwards, b to the right, its activation as colour"],
  ["○", "the pair under the pointer, the same in every plot"],
  ["outline", "selected, in the graph too"],
  ["≤ 7.1", "end of a plot's own scale"],
] as const;
const NAMES = [
  ["sum = _5", "active where a + b ends in 5"],
  ["sum ~ 92", "where a + b is near 92"],
  ["_6 + _9", "where one operand ends in 6 and the other in 9"],
  ["~36 + ~60", "where one is near 36 and the other near 60"],
  ["add 9", "where one operand is 9, whatever the other"],
] as const;
const KEYS = [
  ["← → ↑ ↓", "next plot; in an enlarged one, next cell"],
  ["⇧ ← → ↑ ↓", "next cell"],
  ["↵", "enlarge"],
  ["[ ]", "strongest input, output"],
  ["Esc", "back, release"],
] as const;

/** The legend, hidden, and the button that shows it. */
export function createOperandLegend(abort: AbortSignal): readonly [HTMLButtonElement, HTMLElement] {
  const list = (entries: readonly (readonly [string, string])[]): HTMLElement =>
    h(
      "ul",
      {},
      ...entries.map(([mark, meaning]) => h("li", {}, h("span", { class: "ctw-mono" }, mark), h("span", {}, meaning))),
    );
  const legend = h(
    "div",
    { class: "ctw-o-legend", role: "region", "aria-label": "legend", hidden: true },
    ...[MARKS, NAMES, KEYS].map(list),
  );
  const press = h("button", { type: "button", class: "ctw-button", "aria-expanded": "false" }, "Legend");
  const toggle = (): void => {
    legend.hidden = !legend.hidden;
    press.setAttribute("aria-expanded", String(!legend.hidden));
  };
  on(press, "click", toggle, abort);
  return [press, legend];
}
