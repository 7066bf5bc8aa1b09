// @vitest-environment happy-dom
import { expect, it } from "vitest";
import { histogramFigure } from "../../src/ui/examples/histogram";

const HISTOGRAM = { counts: [100, 0, 10, 1], edges: [null, 1, 2, 4, 8] };

it("has a bar per bin, higher with more, and none where nothing fell", () => {
  const figure = histogramFigure(HISTOGRAM, null);
  const heights = [...figure.querySelectorAll(".ctw-bin")].map((bar) => Number(bar.getAttribute("height")));
  expect(heights[0]).toBe(44);
  expect(heights[1]).toBe(0);
  expect(heights[2]).toBeCloseTo((44 * Math.log(11)) / Math.log(101));
  expect(heights[3]).toBeGreaterThanOrEqual(1.5);
  expect(heights[3]!).toBeLessThan(heights[2]!);
});

it("says in words what every bar holds, and where the axis ends", () => {
  const figure = histogramFigure(HISTOGRAM, null);
  expect([...figure.querySelectorAll(".ctw-bin")].map((bar) => bar.getAttribute("data-tip"))).toEqual([
    "below to 1.00: 100 tokens",
    "1.00 to 2.00: 0 tokens",
    "2.00 to 4.00: 10 tokens",
    "4.00 to 8.00: 1 tokens",
  ]);
  expect([...figure.querySelectorAll(".ctw-ends span")].map(({ textContent }) => textContent)).toEqual([
    "1.00",
    "8.00",
  ]);
});

it("marks the activation at hand at its place in the bins", () => {
  const mark = (activation: number | null): HTMLElement | null =>
    histogramFigure(HISTOGRAM, activation).querySelector<HTMLElement>(".ctw-here-mark");
  expect(mark(3)!.style.left).toBe("62.5%");
  expect(mark(100)!.style.left).toBe("100%");
  expect([mark(null), mark(0)]).toEqual([null, null]);
});

it("does without any bins", () => {
  expect(histogramFigure({ counts: [], edges: [null] }, 2).querySelectorAll(".ctw-bin")).toHaveLength(0);
});
