import { signal } from "@preact/signals-core";
import { expect, test } from "vitest";
import { TrainingSession } from "../src/core/training/session";
import {
  choices,
  describeRun,
  formatTime,
  formatTokens,
  pointAt,
  readCharts,
  readCommand,
  readRun,
  scaleOf,
} from "../src/core/training/training";

const points = (...pairs: [number, number][]): unknown => pairs;

test("curves become four charts, whatever is no number is left out", () => {
  const charts = readCharts({
    loss: points([1, 2], [2, 1]),
    "batch, mean of layers": [[1, 0.5], ["x", 3], null, [2, Number.NaN], [3, 0.25]],
    "same top-1 as model": points([3, 0.9]),
  });
  expect(charts.map(({ title }) => title)).toHaveLength(4);
  expect(charts[0]!.lines[0]!.points).toEqual([
    { tokens: 1, value: 2 },
    { tokens: 2, value: 1 },
  ]);
  expect(charts[1]!.lines).toEqual([
    {
      name: "batch, mean of layers",
      points: [
        { tokens: 1, value: 0.5 },
        { tokens: 3, value: 0.25 },
      ],
    },
  ]);
  expect(charts[3]!.lines.map(({ name }) => name)).toEqual(["same top-1 as model"]);
  expect(readCharts(null).every(({ lines }) => lines.length === 0)).toBe(true);
});

test("a logarithmic scale holds every value and marks round ones", () => {
  const [chart] = readCharts({ loss: points([0, 800], [1, 0.02], [2, 3]) });
  const { place, marks } = scaleOf(chart!);
  expect(place(0.02)).toBeGreaterThan(0);
  expect(place(800)).toBeLessThan(1);
  expect(place(4) - place(0.4)).toBeCloseTo(place(40) - place(4), 9);
  expect(marks.length).toBeGreaterThanOrEqual(2);
  expect(marks.length).toBeLessThanOrEqual(5);
  for (const mark of marks) expect(place(mark)).toBeCloseTo(Math.min(1, Math.max(0, place(mark))), 9);
});

test("values that hardly differ do not fill the chart", () => {
  const [chart] = readCharts({ loss: points([0, 1], [1, 1.001]) });
  const { place } = scaleOf(chart!);
  expect(place(1.001) - place(1)).toBeLessThan(0.01);
});

test("shares go from nothing to all", () => {
  const chart = readCharts({ "dead features": points([0, 0.1]) })[3]!;
  expect(scaleOf(chart).place(0.1)).toBe(0.1);
  expect(scaleOf(chart).marks).toEqual([0, 0.5, 1]);
});

test("a line is read at the last point that is not later", () => {
  const line = readCharts({ loss: points([10, 1], [20, 2], [30, 3]) })[0]!.lines[0]!;
  expect(pointAt(line, 9)).toBeUndefined();
  expect(pointAt(line, 10)?.value).toBe(1);
  expect(pointAt(line, 29)?.value).toBe(2);
  expect(pointAt(line, Number.POSITIVE_INFINITY)?.value).toBe(3);
});

test("runs in words, and the buttons that make sense", () => {
  const run = readRun({ status: "running", tokens: 12_300, total: 2e6, rate: 4100, left: 485 });
  expect(describeRun(run)).toBe("12.3 k of 2.00 M tokens · 4.10 k tokens/s · 8 min 5 s left");
  expect(choices(run, "")).toEqual(["pause", "stop"]);
  expect(choices(run, "stop")).toEqual(["stop"]);
  expect(choices({ ...run, status: "paused" }, "")).toEqual(["resume", "stop"]);
  expect(choices({ ...run, status: "finished" }, "")).toEqual([]);
  expect(readRun({ status: "<img>", layers: [["0", 0.1, 3, 0]] }).status).toBe("waiting");
  expect(readCommand("explode")).toBe("");
});

test("tokens and times in few characters", () => {
  expect([950, 12_345, 4_560_000, 2e9].map(formatTokens)).toEqual(["950", "12.3 k", "4.56 M", "2.00 G"]);
  expect([4.4, 200, 7500].map(formatTime)).toEqual(["4 s", "3 min 20 s", "2 h 5 min"]);
});

test("the cursor starts at the newest values and stays on the axis", () => {
  const session = new TrainingSession({
    run: signal(readRun({ status: "running", tokens: 500, total: 1000 })),
    charts: signal(readCharts({})),
    cards: signal([]),
    command: signal(readCommand("")),
    theme: signal("auto"),
  });
  session.step(-1);
  expect(session.cursor.value).toBe(490);
  session.step(1000);
  expect(session.cursor.value).toBe(1000);
});
