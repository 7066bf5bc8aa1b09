import { expect, test } from "vitest";
import { counterparts } from "../src/core/graph/compare";
import type { NodeId } from "../src/core/graph/graph";

const left: NodeId = ["feature", 2, 5, 517];
const right: NodeId = ["feature", 2, 6, 517];

test("both ways through the pairs, and null for what is in none", () => {
  const [toSecond, toFirst] = counterparts([
    [left, right],
    [
      ["logit", 4, 5, 95],
      ["logit", 4, 6, 95],
    ],
  ]);
  expect(toSecond(left)).toEqual(right);
  expect(toFirst(right)).toEqual(left);
  expect(toSecond(right)).toBeNull();
  expect(toFirst(["logit", 4, 6, 95])).toEqual(["logit", 4, 5, 95]);
});

test("whatever is no pair is skipped", () => {
  const [toSecond, toFirst] = counterparts([null, [left], [left, "x"], 3, [["a"], right]]);
  expect(toSecond(left)).toBeNull();
  expect(toFirst(right)).toBeNull();
  expect(counterparts(undefined)[0](left)).toBeNull();
});
