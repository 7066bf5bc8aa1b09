// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { activationRamp, signRamp } from "../../src/core/operands/heatmap";
import type { Palette } from "../../src/core/palette";
import { Heatmap } from "../../src/ui/operands/heatmap";
import { noteCanvases, Pixels } from "./support";

const palette = {
  surface: [255, 255, 255],
  activation: [200, 100, 0],
  positive: [0, 128, 0],
  negative: [128, 0, 128],
} as unknown as Palette;

beforeEach(() => vi.stubGlobal("ImageData", Pixels));
afterEach(() => vi.restoreAllMocks());

it("has one pixel per cell, and hides from screen readers what words say better", () => {
  noteCanvases();
  const { canvas } = new Heatmap(3, 2);
  expect([canvas.width, canvas.height, canvas.getAttribute("aria-hidden")]).toEqual([3, 2, "true"]);
});

it("paints a field from the bottom up on its scale", () => {
  const noted = noteCanvases();
  const field = { bytes: Uint8Array.of(255, 0, 0, 0, 0, 0), peak: 5, signed: false };
  new Heatmap(3, 2).field(field, 5, activationRamp(palette));
  expect([...noted.put!.slice(12, 16)]).toEqual([200, 100, 0, 255]);
  expect([...noted.put!.slice(0, 4)]).toEqual([255, 255, 255, 255]);
});

it("paints shares with their sign", () => {
  const noted = noteCanvases();
  new Heatmap(3, 1).shares(Float32Array.of(-1, 0, 1), signRamp(palette));
  expect([...noted.put!]).toEqual([128, 0, 128, 255, 255, 255, 255, 255, 0, 128, 0, 255]);
});
