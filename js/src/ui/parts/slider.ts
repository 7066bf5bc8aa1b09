/** A labelled slider for a threshold, with what it leaves; it sets a signal that is a trait too (`core/traits.ts`). */

import type { Signal } from "@preact/signals-core";
import { formatUnit } from "../../core/format";
import { live } from "../../core/lifetime";
import { h, on } from "./dom";

export interface SliderOptions {
  readonly name: string;
  readonly title: string;
  readonly value: Signal<number>;
  /** What the present value leaves: "55 of 812". */
  readonly result: () => string;
}

export function slider(options: SliderOptions, abort: AbortSignal): HTMLElement {
  const input = h("input", { type: "range", min: 0, max: 1, step: 0.01, class: "ctw-range" });
  const value = h("output", { class: "ctw-number" });
  const result = h("span", { class: "ctw-count" });
  on(input, "input", () => (options.value.value = input.valueAsNumber), abort);
  live(abort, () => {
    const threshold = options.value.value;
    if (input.valueAsNumber !== threshold) input.value = String(threshold);
    value.textContent = formatUnit(threshold);
    result.textContent = options.result();
    input.setAttribute("aria-valuetext", `${formatUnit(threshold)}, ${options.result()}`);
  });
  return h("label", { class: "ctw-slider", title: options.title }, h("span", {}, options.name), input, value, result);
}
