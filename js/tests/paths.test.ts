import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { decodeColumns } from "../src/core/columns";
import { readGraph } from "../src/core/graph/graph";
import { strongestPaths } from "../src/core/graph/paths";
import { SMALL, sampleGraph } from "./sample";

interface Pair {
  source: number;
  target: number;
  paths: [number[], number][];
  total: number;
}
const { k, cases } = JSON.parse(readFileSync(new URL("fixtures/paths.json", import.meta.url), "utf8")) as {
  k: number;
  cases: { columns: string; pairs: Pair[] }[];
};

describe.each(cases)("the paths that Python walked, %#", ({ columns, pairs }) => {
  const graph = readGraph(decodeColumns(new Uint8Array(Buffer.from(columns, "base64"))));

  it.each(pairs)("from $source to $target", ({ source, target, paths, total }) => {
    const found = strongestPaths(graph, source, target, k);
    expect(found.total).toBeCloseTo(total, 5);
    expect(found.paths.map(({ rows }) => rows)).toEqual(paths.map(([rows]) => rows));
    for (const [i, { share, rows, edges }] of found.paths.entries()) {
      expect(share).toBeCloseTo(paths[i]![1], 6);
      expect(edges.map((edge) => [graph.source[edge], graph.target[edge]])).toEqual(
        rows.slice(1).map((row, place) => [rows[place], row]),
      );
    }
    expect(strongestPaths(graph, target, source, 2)).toEqual({ paths: found.paths.slice(0, 2), total: found.total });
  });
});

describe("strongestPaths", () => {
  it("finds none where there is none", () => {
    const graph = sampleGraph(SMALL);
    expect(strongestPaths(graph, 2, 5, 3)).toEqual({ paths: [], total: 0 });
    expect(strongestPaths(graph, 2, 2, 3).paths).toEqual([]);
    // 0 -> 2 -> 6 -> 7 carries 1 * .4 * .8.
    expect(strongestPaths(graph, 0, 7, 1).paths).toMatchObject([{ rows: [0, 2, 6, 7] }]);
    expect(strongestPaths(graph, 0, 7, 1).paths[0]!.share).toBeCloseTo(0.32, 6);
  });
});
