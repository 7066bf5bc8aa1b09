/** What stands where on a sheet of operand plots: order, ticks, cells, and lines of equal sums. */

import { FAMILY_KINDS, type FamilyKind, type Field, type Operands } from "./operands";

export const SORTS = ["influence", "layer", "family", "activation", "given"] as const;
export type Sort = (typeof SORTS)[number];
export const OVERLAYS = ["none", "sum", "sum mod 10"] as const;
export type Overlay = (typeof OVERLAYS)[number];
/** A pair of operands. */
export type Cell = readonly [a: number, b: number];

const collator = new Intl.Collator("en", { numeric: true });

/** Rows of the sheet whose family is among `families` (none: all), in order. */
export function sheetRows(
  operands: Operands,
  fields: readonly Field[],
  sort: Sort,
  families: readonly FamilyKind[],
): number[] {
  const rows = [...Array(operands.nShown).keys()].filter(
    (row) => families.length === 0 || families.includes(operands.families[row]!.kind),
  );
  const { layer, index, influence } = operands;
  const byLayer = (one: number, other: number): number =>
    layer[one]! - layer[other]! || index[one]! - index[other]! || one - other;
  const kindOf = (row: number): number => FAMILY_KINDS.indexOf(operands.families[row]!.kind);
  const nameOf = (row: number): string => operands.families[row]!.name;
  const orders = new Map<Sort, (one: number, other: number) => number>([
    ["given", () => 0],
    // What is not in the graph comes last.
    ["influence", (one, other) => descending(influence[one]!, influence[other]!)],
    ["activation", (one, other) => descending(fields[one]!.peak, fields[other]!.peak)],
    ["layer", byLayer],
    [
      "family",
      (one, other) =>
        kindOf(one) - kindOf(other) || collator.compare(nameOf(one), nameOf(other)) || byLayer(one, other),
    ],
  ]);
  return rows.sort(orders.get(sort));
}

function descending(one: number, other: number): number {
  const [left, right] = [one, other].map((value) => (Number.isNaN(value) ? Number.NEGATIVE_INFINITY : value));
  return left === right ? 0 : right! - left!;
}

/** How many rows of the sheet each kind of family has; kinds without any are left out. */
export function familyCounts({ families, nShown }: Operands): [FamilyKind, number][] {
  const shown = families.slice(0, nShown);
  return FAMILY_KINDS.map((kind): [FamilyKind, number] => [
    kind,
    shown.filter((family) => family.kind === kind).length,
  ]).filter(([, count]) => count > 0);
}

/** Places of the first, middle and last number on an axis. */
export function ticks(axis: readonly number[]): number[] {
  return [...new Set([0, axis.length >> 1, axis.length - 1])];
}

/** The cell of a plot at a point, as fractions of its width from the left and of its height from the top. */
export function cellAt({ a, b }: Operands, x: number, y: number): Cell {
  const place = (axis: readonly number[], share: number): number =>
    axis[Math.min(axis.length - 1, Math.max(0, Math.floor(share * axis.length)))]!;
  return [place(a, 1 - y), place(b, x)];
}

/** The middle of a cell, as such fractions; null where an operand is not on its axis. */
export function placeOf({ a, b }: Operands, cell: Cell): readonly [x: number, y: number] | null {
  const [row, column] = [a.indexOf(cell[0]), b.indexOf(cell[1])];
  return row < 0 || column < 0 ? null : [(column + 0.5) / b.length, 1 - (row + 0.5) / a.length];
}

/** The place of a cell in a field. */
export function cellIndex({ a, b }: Operands, cell: Cell): number {
  return a.indexOf(cell[0]) * b.length + b.indexOf(cell[1]);
}

/** The neighbour of a cell, at the edge the cell itself; without one the middle. */
export function stepCell({ a, b }: Operands, cell: Cell | null, up: number, right: number): Cell {
  const move = (axis: readonly number[], from: number | undefined, step: number): number => {
    const place = from === undefined ? -1 : axis.indexOf(from);
    return axis[place < 0 ? axis.length >> 1 : Math.min(axis.length - 1, Math.max(0, place + step))]!;
  };
  return [move(a, cell?.[0], up), move(b, cell?.[1], right)];
}

type Point = readonly [x: number, y: number];

/** Lines through the cells of equal sums, in cells from the top left: each a chain of points. */
export function overlayLines(operands: Operands, overlay: Overlay, k: number): Point[][] {
  const { a, b } = operands;
  if (overlay === "none" || !isRising(a) || !isRising(b)) return [];
  const [low, high] = [a[0]! + b[0]!, a.at(-1)! + b.at(-1)!];
  const sums: number[] = [];
  if (overlay === "sum") sums.push(k);
  else for (let sum = low + modulo(k - low, 10); sum <= high; sum += 10) sums.push(sum);
  return sums.map((sum) => sumLine(operands, sum)).filter((line) => line.length > 0);
}

function sumLine({ a, b }: Operands, sum: number): Point[] {
  const first = Math.max(a[0]!, sum - b.at(-1)!);
  const last = Math.min(a.at(-1)!, sum - b[0]!);
  if (first > last) return [];
  // On axes of equal steps two points make a line; on others it bends at every number.
  const bends = isUniform(a) && isUniform(b) ? [] : [...a, ...b.map((number) => sum - number)];
  const inside = bends.filter((number) => number > first && number < last);
  const along = [...new Set([first, ...inside, last])].sort((one, other) => one - other);
  return along.map((number) => [place(b, sum - number), a.length - place(a, number)]);
}

/** Where a number lies on an axis, in cells; between two numbers, between their middles. */
function place(axis: readonly number[], number: number): number {
  let at = 0;
  while (at < axis.length - 2 && axis[at + 1]! < number) at++;
  const step = (axis[at + 1] ?? axis[at]! + 1) - axis[at]!;
  return at + 0.5 + (number - axis[at]!) / step;
}

function isRising(axis: readonly number[]): boolean {
  return axis.every((number, i) => i === 0 || number > axis[i - 1]!);
}

function isUniform(axis: readonly number[]): boolean {
  return axis.every((number, i) => i < 2 || number - axis[i - 1]! === axis[1]! - axis[0]!);
}

function modulo(value: number, by: number): number {
  return ((value % by) + by) % by;
}
