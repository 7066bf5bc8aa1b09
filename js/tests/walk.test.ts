import { describe, expect, it } from "vitest";
import { readRanking, readStep } from "../src/core/global_weights/walk";

const ROW = {
  feature: "L0/5",
  label: "numbers",
  guessed: true,
  virtual: -0.5,
  era: 0.001,
  twera: null,
  together: 0.25,
  interference: false,
  maximum: 4,
  spaced: true,
  example: { pieces: [["a", [1]]], peak: 7, position: 3, text: 2 },
};
const STEP = {
  feature: "L1/3",
  by: "era",
  card: { feature: "L1/3", promotes: [["x", 1]] },
  inputs: { rows: [ROW], kept: 12, missing: "" },
  outputs: { rows: [], kept: 0, missing: "not among the sources" },
};

describe("readStep", () => {
  it("reads what Python makes", () => {
    const step = readStep(STEP)!;
    expect(step.by).toBe("era");
    expect(step.card!.promotes).toEqual([["x", 1]]);
    const [row] = step.inputs.rows;
    expect(row!.measures).toEqual({ twera: null, era: 0.001, virtual: -0.5 });
    expect([row!.guessed, row!.together, row!.interference]).toEqual([true, 0.25, false]);
    expect(row!.example!.peak).toBe(0);
    expect(step.inputs.kept).toBe(12);
    expect(step.outputs.missing).toBe("not among the sources");
  });

  it("survives what nobody made", () => {
    expect(readStep(null)).toBeNull();
    expect(readStep({ feature: 3 })).toBeNull();
    const step = readStep({ feature: "L0/1", inputs: { rows: [null, { example: { pieces: [] } }] }, by: "size" })!;
    expect(step.by).toBe("virtual");
    expect(step.card).toBeNull();
    expect(step.inputs.rows.map(({ example, measures }) => [example, measures.virtual])).toEqual([
      [null, null],
      [null, null],
    ]);
    expect(step.outputs.rows).toEqual([]);
    expect(readRanking("twera")).toBe("twera");
  });
});
