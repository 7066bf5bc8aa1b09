/** Places of the subgraph's boxes: layers upwards, tokens from left to right, dragged boxes where they were put. */

import type { Graph } from "../graph/graph";
import type { Box } from "../graph/subgraph";

export const BOX_HEIGHT = 38;
export const NARROWEST_BOX = 56;
export const WIDEST_BOX = 176;
const GAP = 12;
/** Room between lines, less where there are many. */
const [WIDEST_LEADING, NARROWEST_LEADING, MANY_LINES] = [34, 18, 6];
/** Boxes of one token on successive lines stand aside from each other, so that edges do not run behind them. */
const ASIDE = [-1, 1, 0];
const MOST_ASIDE = 110;
const MARGIN = 12;

/** Where boxes were put by hand, by their key: part of the width, and pixels from the top, of their centre. */
export type Places = Readonly<Record<string, readonly [x: number, y: number]>>;

export interface BoxPlace {
  /** Centre. */
  readonly x: number;
  readonly y: number;
  readonly width: number;
}

export interface BoxLayout {
  readonly places: readonly BoxPlace[];
  readonly height: number;
}

/**
 * Boxes of one layer (a group's is the mean of its members') share a line, in the order of their tokens; a line that is
 * full goes on in another. A dragged box leaves its automatic place free, so that no other one moves.
 */
export function layoutBoxes(
  graph: Graph,
  boxes: readonly Box[],
  widths: readonly number[],
  width: number,
  dragged: Places,
  tall = BOX_HEIGHT,
): BoxLayout {
  const mean = (column: ArrayLike<number>, { rows }: Box): number =>
    rows.reduce((sum, row) => sum + column[row]!, 0) / rows.length;
  const level = boxes.map((box) => Math.round(mean(graph.layer, box)));
  const token = boxes.map((box) => Math.round(mean(graph.position, box)));
  const columns = [...new Set(token)].sort((a, b) => a - b);
  const column = width / Math.max(1, columns.length);
  const wish = token.map((position) => (columns.indexOf(position) + 0.5) * column);
  const size = widths.map((wide) => Math.min(wide, Math.max(1, width - 2 * MARGIN)));
  const lines = [...new Set(level)]
    .sort((a, b) => b - a)
    .flatMap((layer) => {
      const line = [...boxes.keys()].filter((box) => level[box] === layer).sort((a, b) => wish[a]! - wish[b]! || a - b);
      return wrap(line, size, width - 2 * MARGIN);
    });
  const places = new Array<BoxPlace>(boxes.length);
  const leading = tall + (lines.length > MANY_LINES ? NARROWEST_LEADING : WIDEST_LEADING);
  lines.forEach((line, place) => {
    const y = MARGIN + tall / 2 + place * leading;
    const aside = Math.min(MOST_ASIDE, column / 4) * (lines.length > 2 ? ASIDE[place % ASIDE.length]! : 0);
    for (const box of line) wish[box]! += aside;
    const centres = spread(line, wish, size, width);
    for (const [i, box] of line.entries()) places[box] = { x: centres[i]!, y, width: size[box]! };
  });
  let height = lines.length === 0 ? 0 : 2 * MARGIN + tall + (lines.length - 1) * leading;
  for (const [box, { key }] of boxes.entries()) {
    const put = dragged[key];
    if (!put) continue;
    const half = size[box]! / 2;
    const x = Math.max(half, Math.min(width - half, put[0] * width));
    places[box] = { x, y: Math.max(tall / 2, put[1]), width: size[box]! };
    height = Math.max(height, places[box].y + tall / 2 + MARGIN);
  }
  return { places, height };
}

/** `line` cut into as few lines as hold it, of about the same fill. */
function wrap(line: number[], size: readonly number[], room: number): number[][] {
  const total = line.reduce((sum, box) => sum + size[box]! + GAP, -GAP);
  const target = total / Math.max(1, Math.ceil(total / room));
  const lines: number[][] = [[]];
  let filled = 0;
  for (const box of line) {
    const wide = size[box]! + (filled > 0 ? GAP : 0);
    if (filled > 0 && (filled + wide > room || filled + wide / 2 > target)) {
      lines.push([]);
      filled = 0;
    }
    lines.at(-1)!.push(box);
    filled += size[box]! + (filled > 0 ? GAP : 0);
  }
  return lines;
}

/** Centres as near to their wishes as order, gaps and margins allow. */
function spread(line: readonly number[], wish: readonly number[], size: readonly number[], width: number): number[] {
  const left: number[] = [];
  let least = MARGIN;
  for (const box of line) {
    left.push(Math.max(least, wish[box]! - size[box]! / 2));
    least = left.at(-1)! + size[box]! + GAP;
  }
  let most = width - MARGIN;
  for (let i = line.length - 1; i >= 0; i--) {
    left[i] = Math.max(0, Math.min(left[i]!, most - size[line[i]!]!));
    most = left[i]! - GAP;
  }
  return left.map((start, i) => start + size[line[i]!]! / 2);
}
