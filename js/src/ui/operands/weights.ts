/** Weights of the number tokens: ten by ten, tens upwards, and the same in one strip. */

import { formatNumber, formatWeight } from "../../core/format";
import type { Ramp } from "../../core/operands/heatmap";
import type { Weights } from "../../core/operands/operands";
import { h, muted, on } from "../parts/dom";
import { Heatmap } from "./heatmap";

const SIDE = 10;

/** Two pictures of the weights of the numbers 0 to 99 under a title; the number under the pointer is read out. */
export function weightPlots(
  title: string,
  explanation: string,
  weights: Weights,
  numbers: readonly number[],
  ramp: Ramp,
  abort: AbortSignal,
): HTMLElement {
  const { shares, peak } = weights;
  const ranked = [...shares.keys()].sort((one, other) => shares[other]! - shares[one]!);
  const [first = 0, ...next] = ranked.slice(0, 3);
  const others = next.map((place) => `, ${numbers[place]}`).join("");
  const summary = `most ${numbers[first]} (${formatWeight(peak * shares[first]!)})${others}`;
  const reading = h("span", { class: "ctw-muted" }, summary);
  const square = new Heatmap(SIDE, SIDE);
  // Tens upwards, as the axes of the plots go.
  square.shares(
    Float32Array.from(shares, (_, place) => shares[(SIDE - 1 - Math.floor(place / SIDE)) * SIDE + (place % SIDE)]!),
    ramp,
  );
  const strip = new Heatmap(shares.length, 1);
  strip.shares(shares, ramp);
  const picture = (map: Heatmap, name: string, placeAt: (x: number, y: number) => number): HTMLElement => {
    const box = h("div", { class: `ctw-o-${name}` }, map.canvas);
    on(
      box,
      "pointermove",
      (event) => {
        const { left, top, width, height } = box.getBoundingClientRect();
        const inside = (share: number): number => Math.min(0.999, Math.max(0, share));
        const place = placeAt(inside((event.clientX - left) / width), inside((event.clientY - top) / height));
        reading.textContent = `${numbers[place]}: ${formatWeight(peak * shares[place]!)}`;
      },
      abort,
    );
    on(box, "pointerleave", () => (reading.textContent = summary), abort);
    return box;
  };
  return h(
    "section",
    { class: "ctw-o-weights", "aria-label": `${title}, ${summary}, largest size ${formatNumber(peak)}` },
    h("h4", { title: explanation }, title),
    h(
      "div",
      { class: "ctw-o-tens" },
      picture(square, "square", (x, y) => (SIDE - 1 - Math.floor(SIDE * y)) * SIDE + Math.floor(SIDE * x)),
      ends("0_", "9_"),
    ),
    ends("_0", "_9"),
    picture(strip, "strip", (x) => Math.floor(shares.length * x)),
    ends(String(numbers[0]), String(numbers.at(-1))),
    h("p", {}, reading),
  );
}

/** What stands at both ends of a side. */
function ends(first: string, last: string): HTMLElement {
  return h("div", { class: "ctw-o-ends", "aria-hidden": "true" }, muted(first), muted(last));
}
