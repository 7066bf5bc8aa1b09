/** From a place in the plot to a node, and from a node to its neighbours in the plot. */

import type { Layout } from "./layout";

/** The shown node nearest to (x, y) within `reach`, or null. Linear: 5,000 distances take less time than a frame's tick. */
export function pick(layout: Layout, x: number, y: number, reach: number): number | null {
  let best: number | null = null;
  let nearest = reach * reach;
  for (const row of layout.order) {
    const distance = (layout.x[row]! - x) ** 2 + (layout.y[row]! - y) ** 2;
    if (distance <= nearest) {
      nearest = distance;
      best = row;
    }
  }
  return best;
}

export type Step = "left" | "right" | "up" | "down";

/**
 * The node that an arrow key leads to: left and right along the band of the layer, up and down to the nearest node of
 * the next band that shows any. Stays where there is none; starts at the first node of the top band.
 */
export function walk(layout: Layout, from: number | null, step: Step): number | null {
  if (from === null || Number.isNaN(layout.x[from]!)) return layout.order[0] ?? null;
  const band = bandOf(layout, from);
  if (step === "left" || step === "right") {
    const line = nodesOf(layout, band).sort((a, b) => layout.x[a]! - layout.x[b]! || layout.y[a]! - layout.y[b]!);
    return line[line.indexOf(from) + (step === "left" ? -1 : 1)] ?? from;
  }
  for (
    let next = band + (step === "up" ? -1 : 1);
    next >= 0 && next < layout.rows.length;
    next += step === "up" ? -1 : 1
  ) {
    const line = nodesOf(layout, next);
    const distance = (row: number): number => Math.abs(layout.x[row]! - layout.x[from]!);
    if (line.length > 0) return line.reduce((best, row) => (distance(row) < distance(best) ? row : best));
  }
  return from;
}

function bandOf(layout: Layout, row: number): number {
  const distance = (band: number): number => Math.abs(layout.rows[band]!.y - layout.y[row]!);
  return layout.rows.reduce((best, _, band) => (distance(band) < distance(best) ? band : best), 0);
}

function nodesOf(layout: Layout, band: number): number[] {
  const { y, height } = layout.rows[band]!;
  return Array.from(layout.order).filter((row) => Math.abs(layout.y[row]! - y) <= height / 2);
}
