import { describe, expect, it } from "vitest";
import { search } from "../src/core/graph/search";
import { SMALL, sampleGraph } from "./sample";

const graph = sampleGraph(SMALL);
const labels = { "L0/11": "Carry the one", '["feature",1,1,13]': "sum = _5" };

describe("search", () => {
  it.each([
    ["", []],
    ["  ", []],
    ["L1", [6]],
    ["l0 feature", [2, 4, 3]],
    ["L0/1", [2, 4, 3]],
    ["L0/12", [4]],
    ["carry ONE", [2, 3]],
    ["_5", [6]],
    ["error", [5]],
    ["logit", [7, 8]],
    ["emb >0.45", [0]],
    ["logit >.1", [7]],
    ["x", [7]],
    ["b feature", [6, 4, 3]],
    ["no such", []],
    ["(", []],
  ])("%j finds %j", (query, rows) => {
    expect(search(graph, labels, query)).toEqual(rows);
  });
});
