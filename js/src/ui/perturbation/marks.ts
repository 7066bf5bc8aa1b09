/** What the drawings of a perturbation have in common: sizes, percentages, the mark of a prediction. */

import { MINUS } from "../../core/format";
import type { PerturbationBox } from "../../core/perturbation/perturbation";

export const TALL = 58;
export const PADDING = 10;
/** Room for "−200 %" beside a name. */
export const NUMBER = 50;

/** A box on the figure. */
export interface Shown {
  readonly box: PerturbationBox;
  readonly element: SVGGElement;
  paint(): void;
}

/** "150 %", "−50 %"; a dash where nothing was active. */
export function percent(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  const rounded = Math.round(value * 100);
  return `${rounded < 0 ? MINUS : ""}${Math.abs(rounded)} %`;
}

/** The path of what the graph predicts. */
export function diamond(x: number, y: number, size = 4.5): string {
  return `M${x} ${y - size}L${x + size} ${y}L${x} ${y + size}L${x - size} ${y}Z`;
}
