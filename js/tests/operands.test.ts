import { signal } from "@preact/signals-core";
import { describe, expect, it } from "vitest";
import { type Columns, ColumnsError } from "../src/core/columns";
import { activationRamp, paintField, paintShares, signRamp } from "../src/core/operands/heatmap";
import {
  difference,
  type FamilyKind,
  type Operands,
  readOperands,
  unpack,
  valueAt,
} from "../src/core/operands/operands";
import { OperandSession, type SyncedOperands } from "../src/core/operands/session";
import {
  cellAt,
  cellIndex,
  familyCounts,
  overlayLines,
  placeOf,
  sheetRows,
  stepCell,
  ticks,
} from "../src/core/operands/sheet";
import type { Palette } from "../src/core/palette";

const palette = {
  surface: [255, 255, 255],
  activation: [200, 100, 0],
  positive: [0, 120, 0],
  negative: [120, 0, 120],
} as unknown as Palette;
const rgb = (pixel: number): number[] => [pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255];
const range = (n: number, first = 0, step = 1): number[] => Array.from({ length: n }, (_, i) => first + step * i);

/** Three features over a = 0..2, b = 0..3; the last is only for walking. */
function columns(changes: Record<string, unknown> = {}): Columns {
  const pairs = [
    [1, 255, 10, 51], // cells 1 and 11
    [255, 0], // nothing
    [0, 1],
  ];
  const arrays: Record<string, ArrayLike<number>> = {
    layer: [2, 0, 1],
    index: [5, 7, 9],
    influence: [0.1, Number.NaN, 0.3],
    bytes: pairs.flat(),
    start: [0, 4, 6, 8],
    peak: [10, 0, 255],
    link_start: [0, 2, 2, 2, 2, 2, 3],
    link_kind: [1, 0, 1],
    link_layer: [1, -1, 2],
    link_position: [6, 3, 6],
    link_index: [9, 204, 5],
    link_weight: [0.5, -0.25, 0.5],
    output: [0.5, -1, 0, 0, 1, 1],
    output_peak: [2, 0, 1],
    embedding: [1, 1, 1, 1, 1, 1],
    embedding_peak: [1, 1, 1],
  };
  const facts = {
    template: "calc: {a}+{b}=",
    a: [0, 1, 2],
    b: [0, 1, 2, 3],
    position: 6,
    tokens: ["<bos>", "calc", ":", "36", "+", "59", "="],
    signed: false,
    n_shown: 2,
    elsewhere: 1,
    left_out: 0,
    families: [
      ["sum", "sum = _5", 0.9],
      ["lookup", "_6 + _9", 0.8],
      ["sum", "sum ~ 12", 0.7],
    ],
    labels: ["", "", ""],
    numbers: [0, 1],
    token_of: { "embedding/-1/3/204": "36" },
  };
  const metadata = new Map(Object.entries({ ...facts, ...changes }));
  const typed = Object.entries(arrays).map(([name, values]) => {
    const data = name === "bytes" ? Uint8Array.from(values) : Float64Array.from(values);
    return [name, { data, shape: [data.length] }] as const;
  });
  return { arrays: new Map(typed), metadata };
}

const operands = readOperands(columns());
const axes = (a: number[], b: number[]): Operands => ({ ...operands, a, b });

describe("readOperands", () => {
  it("unpacks plots, weights and links", () => {
    const [first, silent] = operands.after;
    expect([...first!.bytes]).toEqual([0, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 51]);
    expect(valueAt(first!, 1)).toBe(10);
    expect(valueAt(first!, 11)).toBe(2);
    expect(silent!.bytes.every((byte) => byte === 0)).toBe(true);
    expect(operands.output[0]).toEqual({ shares: Float32Array.of(0.5, -1), peak: 2 });
    expect(operands.links![0]!.inputs.map(({ row, weight }) => [row, weight])).toEqual([
      [2, 0.5],
      [null, -0.25],
    ]);
    expect(operands.links![2]!.outputs.map(({ row }) => row)).toEqual([0]);
  });

  it("goes on over more than 255 empty cells", () => {
    const bytes = unpack(Uint8Array.of(255, 0, 255, 0, 3, 9), 1000, false);
    expect(bytes.indexOf(9)).toBe(513);
    expect(bytes.reduce((sum, byte) => sum + byte, 0)).toBe(9);
    expect([...unpack(Uint8Array.of(1, 255), 3, true)]).toEqual([128, 255, 128]);
  });

  it("refuses what no payload holds", () => {
    expect(() => unpack(Uint8Array.of(3, 1), 3, false)).toThrow(ColumnsError);
    expect(() => readOperands(columns({ a: [] }))).toThrow("no operands");
    expect(() => readOperands(columns({ b: ["<img>"] }))).toThrow("is not a list of whole numbers");
    expect(() => readOperands(columns({ families: [] }))).toThrow("families are missing");
    expect(readOperands(columns({ families: [[], ["<b>", 3], ["sum"]] })).families[1]!.kind).toBe("other");
  });
});

describe("heatmap", () => {
  it("puts a at the bottom and b at the left first, on a scale that may end above the peak", () => {
    const pixels = new Uint32Array(12);
    paintField(operands.after[0]!, 20, activationRamp(palette), 4, pixels);
    // Cell 1 is a = 0, b = 1: in the last line of the picture; half the scale is half the colour.
    expect(rgb(pixels[9]!)).toEqual([227, 177, 127]);
    expect(rgb(pixels[3]!)).toEqual([249, 239, 229]);
    expect(rgb(pixels[0]!)).toEqual([255, 255, 255]);
    paintField(operands.after[0]!, 10, activationRamp(palette), 4, pixels);
    expect(rgb(pixels[9]!)).toEqual([200, 100, 0]);
    paintField(operands.after[1]!, 0, activationRamp(palette), 4, pixels);
    expect([...pixels].every((pixel) => rgb(pixel).every((part) => part === 255))).toBe(true);
  });

  it("shows what changed in the colours of its sign", () => {
    const [first, , third] = operands.after;
    const change = difference(first!, third!);
    expect(change.peak).toBe(10);
    const value = [...change.bytes.keys()].map((cell) => valueAt(change, cell));
    const exact = [...change.bytes.keys()].map((cell) => valueAt(first!, cell) - valueAt(third!, cell));
    for (const [cell, one] of value.entries()) expect(Math.abs(one - exact[cell]!)).toBeLessThanOrEqual(10 / 254);
    const pixels = new Uint32Array(12);
    paintField(change, 10, signRamp(palette), 4, pixels);
    expect(rgb(pixels[9]!)).toEqual([0, 120, 0]);
    expect(rgb(pixels[5]!)).toEqual([255, 255, 255]);
    paintField(difference(third!, first!), 10, signRamp(palette), 4, pixels);
    expect(rgb(pixels[9]!)).toEqual([120, 0, 120]);
    const shares = new Uint32Array(3);
    paintShares(Float32Array.of(1, 0, -1), signRamp(palette), shares);
    expect([...shares].map(rgb)).toEqual([
      [0, 120, 0],
      [255, 255, 255],
      [120, 0, 120],
    ]);
  });
});

describe("the sheet", () => {
  it("is in order, and holds the families that are asked for", () => {
    const rows = (sort: Parameters<typeof sheetRows>[2], ...families: FamilyKind[]): number[] =>
      sheetRows(operands, operands.after, sort, families);
    expect(rows("given")).toEqual([0, 1]);
    expect(rows("layer")).toEqual([1, 0]);
    expect(rows("influence")).toEqual([0, 1]);
    expect(rows("activation")).toEqual([0, 1]);
    expect(rows("family", "lookup")).toEqual([1]);
    expect(rows("family", "add")).toEqual([]);
    expect(familyCounts(operands)).toEqual([
      ["sum", 1],
      ["lookup", 1],
    ]);
    const names = ["sum ~ 103", "sum ~ 95", "sum = _5"];
    const many = {
      ...operands,
      nShown: 3,
      families: names.map((name) => ({ kind: "sum" as const, name, explained: 1 })),
    };
    // Numbers in names count as numbers.
    expect(sheetRows(many, many.after, "family", []).map((row) => names[row])).toEqual([
      "sum = _5",
      "sum ~ 95",
      "sum ~ 103",
    ]);
    expect(sheetRows(many, many.after, "influence", [])).toEqual([2, 0, 1]);
  });

  it("finds cells and their places", () => {
    const hundred = axes(range(100), range(100));
    expect(ticks(hundred.a).map((place) => hundred.a[place])).toEqual([0, 50, 99]);
    expect(ticks([7])).toEqual([0]);
    expect(cellAt(hundred, 0.5951, 1 - 0.3601)).toEqual([36, 59]);
    expect(cellAt(hundred, 1, 0)).toEqual([99, 99]);
    expect(cellAt(hundred, -0.1, 1.2)).toEqual([0, 0]);
    const [x, y] = placeOf(hundred, [36, 59])!;
    expect([x, y].map((part) => Number(part.toFixed(4)))).toEqual([0.595, 0.635]);
    expect(placeOf(operands, [9, 1])).toBeNull();
    expect(cellIndex(operands, [2, 3])).toBe(11);
    expect(stepCell(operands, null, 1, 0)).toEqual([1, 2]);
    expect(stepCell(operands, [2, 3], 1, -1)).toEqual([2, 2]);
  });

  it("draws lines through all cells of a sum, and through no others", () => {
    const on = (lines: ReturnType<typeof overlayLines>, { a, b }: Operands): [number, number][] =>
      a.flatMap((one, row) =>
        b
          .map((other, column): [number, number] => [one + other, column])
          .filter(([, column]) => lines.some((line) => crosses(line, column + 0.5, a.length - row - 0.5)))
          .map(([sum, column]): [number, number] => [sum, column]),
      );
    const crosses = (line: readonly (readonly [number, number])[], x: number, y: number): boolean =>
      line.some(([x0, y0], i) => {
        const [x1, y1] = line[Math.min(i + 1, line.length - 1)]!;
        const along = x0 === x1 ? 0 : (x - x0) / (x1 - x0);
        return (
          along >= -1e-9 &&
          along <= 1 + 1e-9 &&
          Math.hypot(x0 + along * (x1 - x0) - x, y0 + along * (y1 - y0) - y) < 1e-6
        );
      });
    for (const one of [
      axes(range(12), range(9)),
      axes(range(5, 3), range(7, 0, 2)),
      axes([0, 1, 5, 20], [0, 2, 3, 9, 30]),
    ]) {
      const sums = new Set(one.a.flatMap((left) => one.b.map((right) => left + right)));
      for (const k of sums) {
        const found = on(overlayLines(one, "sum", k), one);
        expect(new Set(found.map(([sum]) => sum))).toEqual(new Set([k]));
        const expected = one.a.flatMap((left) => one.b.filter((right) => left + right === k)).length;
        expect(found.length).toBe(expected);
      }
    }
    const small = axes(range(12), range(9));
    const modular = on(overlayLines(small, "sum mod 10", -5), small);
    expect(new Set(modular.map(([sum]) => sum))).toEqual(new Set([5, 15]));
    expect(modular.length).toBe(6 + 5);
    expect(overlayLines(small, "none", 5)).toEqual([]);
    expect(overlayLines(small, "sum", 500)).toEqual([]);
    expect(overlayLines(axes([3, 1], [0, 1]), "sum", 3)).toEqual([]);
  });
});

describe("OperandSession", () => {
  const open = (data = operands): OperandSession =>
    new OperandSession(data, {
      selected: signal(null),
      enlarged: signal(false),
      hovered: signal(null),
      scale: signal("shared"),
      overlay: signal("none"),
      k: signal(0),
      sort: signal("given"),
      families: signal([]),
      shows: signal("after"),
      theme: signal("auto"),
    } as SyncedOperands);

  it("walks the graph from plot to plot", () => {
    const session = open();
    session.open(0);
    expect(session.synced.selected.value).toEqual(["feature", 2, 6, 5]);
    expect(session.enlargedRow.value).toBe(0);
    session.walk("inputs");
    expect(session.enlargedRow.value).toBe(2);
    session.walk("inputs"); // none: stays
    session.walk("outputs");
    expect(session.enlargedRow.value).toBe(0);
    expect(operands.links![0]!.inputs.map((link) => session.linkName(link))).toEqual(["L1/9", "“36”"]);
    session.close();
    expect([session.enlargedRow.value, session.selectedRow.value]).toEqual([null, 0]);
    // What has no plot is selected all the same, and nothing is marked.
    session.synced.enlarged.value = true;
    session.synced.selected.value = ["logit", 4, 6, 95];
    expect([session.enlargedRow.value, session.selectedRow.value]).toEqual([null, null]);
  });

  it("reads values, scales, and states of an intervention", () => {
    const session = open({ ...operands, before: [...operands.after].reverse() });
    expect(session.valueOf(0)).toBeNull();
    session.hover([0, 1]);
    expect(session.valueOf(0)).toBe(10);
    expect([session.topOf(0), session.topOf(1)]).toEqual([255, 255]);
    session.synced.scale.value = "own";
    expect([session.topOf(0), session.topOf(1)]).toEqual([10, 0]);
    session.synced.shows.value = "before";
    expect(session.topOf(2)).toBe(10);
    expect(session.signed.value).toBe(false);
    session.synced.shows.value = "difference";
    expect(session.valueOf(0)).toBe(10);
    expect(session.valueOf(2)).toBe(-10);
    expect(session.signed.value).toBe(true);
    session.moveCell(1, 0);
    expect(session.synced.hovered.value).toEqual([1, 1]);
    session.toggleFamily("lookup");
    expect(session.rows.value).toEqual([1]);
    session.toggleFamily("lookup");
    expect(session.rows.value).toEqual([0, 1]);
  });
});
