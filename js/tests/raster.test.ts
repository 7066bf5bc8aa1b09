import { describe, expect, it } from "vitest";
import type { Palette } from "../src/core/palette";
import { DensityRaster } from "../src/core/plot/raster";

const palette = { positive: [27, 120, 55], negative: [118, 42, 131] } as unknown as Palette;
const sum = (plane: Float32Array): number => plane.reduce((total, value) => total + value, 0);

describe("DensityRaster", () => {
  it("gives a curve as much ink as it is long, whatever its slope", () => {
    for (const run of [0, 3, 20, 60]) {
      const raster = new DensityRaster(100, 100);
      raster.addCurve(20, 90, 20 + run, 10, 1, 1);
      let length = 0;
      for (let t = 0; t < 1; t += 1e-3) {
        const slope = (run * 6 * t * (1 - t)) / 80;
        length += 80e-3 * Math.sqrt(1 + slope * slope);
      }
      expect(sum(raster.positive)).toBeCloseTo(length, 0);
      expect(sum(raster.negative)).toBe(0);
    }
  });

  it("starts at the source, ends at the target, and keeps signs apart", () => {
    const raster = new DensityRaster(100, 100);
    raster.addCurve(20, 90, 70, 10, 1, -0.5);
    const inked = (row: number): number[] =>
      [...raster.negative.subarray(row * 100, row * 100 + 100).keys()].filter(
        (x) => raster.negative[row * 100 + x]! > 0,
      );
    expect(inked(89)).toEqual([19, 20]);
    expect(inked(10)).toEqual([69, 70]);
    expect(inked(9)).toEqual([]);
    expect(inked(90)).toEqual([]);
    expect(sum(raster.positive)).toBe(0);
  });

  it("clips what leaves the picture", () => {
    const raster = new DensityRaster(10, 10);
    raster.addCurve(-500, 800, 900, -700, 3, 1);
    raster.addCurve(-50, 9, -40, 1, 1, 1);
    raster.addCurve(Number.NaN, 9, 4, 1, 1, 1);
    raster.addCurve(4, 5, 4, 5, 1, 1);
    expect(sum(raster.positive)).toBeLessThan(200);
    expect([...raster.positive].every(Number.isFinite)).toBe(true);
  });

  it("paints by the balance of signs, and saturates instead of filling up", () => {
    const raster = new DensityRaster(40, 2);
    raster.positive.fill(1, 0, 10);
    raster.negative.fill(1, 10, 20);
    raster.positive.fill(50, 20, 30);
    const pixels = new Uint8ClampedArray(40 * 2 * 4);
    raster.paint(palette, pixels);
    expect([...pixels.subarray(0, 3)]).toEqual([27, 120, 55]);
    expect([...pixels.subarray(40, 43)]).toEqual([118, 42, 131]);
    expect(pixels[35 * 4 + 3]).toBe(0);
    const [single, crowded] = [pixels[3]!, pixels[25 * 4 + 3]!];
    expect(single).toBeGreaterThan(0);
    expect(crowded).toBeGreaterThan(single);
    expect(crowded).toBeLessThan(0.85 * 255);
    raster.clear();
    expect(raster.gain()).toBe(1);
  });
});
