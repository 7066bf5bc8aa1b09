import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { decodeColumns } from "../src/core/columns";
import { type Graph, idOf, readGraph } from "../src/core/graph/graph";
import { type Box, boxEdges, boxesOf, type Supernode, subgraphScores } from "../src/core/graph/subgraph";
import { BOX_HEIGHT, layoutBoxes, NARROWEST_BOX } from "../src/core/plot/box_layout";
import { SMALL, sampleGraph } from "./sample";

interface Case {
  columns: string;
  groups: number[][];
  pinned: number[];
  edges: [number, number, number, number][];
  scores: [number, number];
}
const { cases } = JSON.parse(readFileSync(new URL("fixtures/subgraph.json", import.meta.url), "utf8")) as {
  cases: Case[];
};

function graphOf({ columns }: Case): Graph {
  return readGraph(decodeColumns(new Uint8Array(Buffer.from(columns, "base64"))));
}

describe.each(cases)("the subgraph that Python computed, %#", (expected) => {
  const graph = graphOf(expected);
  const ids = (rows: number[]) => rows.map((row) => idOf(graph, row));
  const groups = expected.groups.map((rows, place): Supernode => [`group ${place}`, ids(rows)]);
  const boxes = boxesOf(graph, ids(expected.pinned), groups, {});

  it("has the same edges between boxes", () => {
    const found = boxEdges(graph, boxes);
    const key = (source: number, target: number): string => `${source} ${target}`;
    const wanted = new Map(expected.edges.map(([source, target, ...values]) => [key(source, target), values]));
    expect(new Set(found.map(({ source, target }) => key(source, target)))).toEqual(new Set(wanted.keys()));
    for (const { source, target, weight, signed } of found) {
      const [wantedWeight, wantedSigned] = wanted.get(key(source, target))!;
      expect(weight).toBeCloseTo(wantedWeight!, 5);
      expect(signed).toBeCloseTo(wantedSigned!, 5);
    }
    expect(found.map(({ weight }) => weight)).toEqual(found.map(({ weight }) => weight).sort((a, b) => b - a));
  });

  it("has the same scores", () => {
    const { replacement, completeness } = subgraphScores(
      graph,
      boxes.flatMap(({ rows }) => rows),
    );
    expect(replacement).toBeCloseTo(expected.scores[0], 5);
    expect(completeness).toBeCloseTo(expected.scores[1], 5);
  });
});

describe("boxesOf", () => {
  const graph = sampleGraph(SMALL);

  it("gives groups first, then what is pinned and in none", () => {
    const supernodes: Supernode[] = [
      ["sum", [idOf(graph, 2), idOf(graph, 6)]],
      ["elsewhere", [["feature", 1, 1, 999]]],
    ];
    const boxes = boxesOf(graph, [idOf(graph, 6), idOf(graph, 4)], supernodes, { "L0/12": "carry" });
    expect(boxes.map(({ name, rows, group }) => [name, rows, group])).toEqual([
      ["sum", [6, 2], 0],
      ["carry", [4], null],
    ]);
    expect(boxes[0]!.key).toBe(JSON.stringify(idOf(graph, 2)));
  });

  it("has nothing to say about nothing", () => {
    expect(boxEdges(graph, [])).toEqual([]);
    expect(subgraphScores(graph, []).replacement).toBeGreaterThan(0);
  });
});

describe("layoutBoxes", () => {
  const graph = sampleGraph(SMALL);
  const box = (...rows: number[]): Box => ({ key: String(rows[0]), rows, group: null, name: "" });
  const boxes = [box(0), box(2), box(3), box(4), box(6), box(7)];
  const widths = boxes.map(() => 80);

  it("puts layers upwards and tokens from left to right, without overlap", () => {
    const { places, height } = layoutBoxes(graph, boxes, widths, 400, {});
    const [embedding, first, second, third, feature, logit] = places;
    expect(logit!.y).toBeLessThan(feature!.y);
    expect(feature!.y).toBeLessThan(first!.y);
    expect(first!.y).toBeLessThan(embedding!.y);
    expect(first!.y).toBe(third!.y);
    expect(second!.x - first!.x).toBeGreaterThanOrEqual(80);
    expect(third!.x - second!.x).toBeGreaterThanOrEqual(80);
    for (const { x, y, width } of places) {
      expect(x - width / 2).toBeGreaterThanOrEqual(0);
      expect(x + width / 2).toBeLessThanOrEqual(400);
      expect(y + BOX_HEIGHT / 2).toBeLessThanOrEqual(height);
    }
  });

  it("wraps a layer that is too wide", () => {
    const many = Array.from({ length: 9 }, () => box(3));
    const { places } = layoutBoxes(
      graph,
      many,
      many.map(() => 100),
      360,
      {},
    );
    expect(new Set(places.map(({ y }) => y)).size).toBe(3);
    for (const [i, { x, y }] of places.entries())
      for (const other of places.slice(i + 1)) expect(other.y !== y || Math.abs(other.x - x) >= 100).toBe(true);
  });

  it("keeps dragged boxes where they were put and moves no other", () => {
    const before = layoutBoxes(graph, boxes, widths, 400, {});
    const after = layoutBoxes(graph, boxes, widths, 400, { "2": [0.9, 300] });
    expect(after.places[1]).toEqual({ x: 360, y: 300, width: 80 });
    expect(after.places.filter((_, i) => i !== 1)).toEqual(before.places.filter((_, i) => i !== 1));
    expect(after.height).toBeGreaterThanOrEqual(300 + BOX_HEIGHT / 2);
    expect(layoutBoxes(graph, boxes, widths, 900, { "2": [0.5, 300] }).places[1]!.x).toBe(450);
    // Never out of sight, whatever a file says.
    expect(layoutBoxes(graph, boxes, widths, 400, { "2": [7, -90] }).places[1]).toMatchObject({ x: 360, y: 19 });
    expect(layoutBoxes(graph, [], [], 400, {})).toEqual({ places: [], height: 0 });
    expect(NARROWEST_BOX).toBeLessThan(80);
  });
});
