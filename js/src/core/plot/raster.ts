/**
 * The picture of all edges: two planes of ink, one per sign, to which every edge adds a thin curve; then one pass turns
 * ink into colour. Cost grows with the length of the curves, not with canvas calls, and crowding stays readable
 * because ink saturates instead of painting over.
 */

import type { Palette } from "../palette";

/** Largest opacity, so that nodes and strokes stand out from the densest bundle. */
const CEILING = 0.82;
/** Ink at which the densest places of a crowded picture are meant to end: 1 - exp(-1.4) = .75 of the ceiling. */
const CROWDED_INK = 1.4;

export class DensityRaster {
  readonly positive: Float32Array;
  readonly negative: Float32Array;

  constructor(
    readonly width: number,
    readonly height: number,
  ) {
    this.positive = new Float32Array(width * height);
    this.negative = new Float32Array(width * height);
  }

  clear(): void {
    this.positive.fill(0);
    this.negative.fill(0);
  }

  /**
   * Add a curve from the source (x0, y0) up to the target (x1, y1), all in pixels, y0 > y1. It leaves and arrives
   * upright: y is linear and x follows the smooth step 3t² - 2t³. `ink` is the opacity of a lone curve; its sign picks the plane.
   */
  addCurve(x0: number, y0: number, x1: number, y1: number, thickness: number, ink: number): void {
    const plane = ink < 0 ? this.negative : this.positive;
    const { width } = this;
    const amount = Math.abs(ink);
    const rise = y1 - y0;
    const run = x1 - x0;
    const first = Math.max(0, Math.ceil(y1 - 0.5));
    const last = Math.min(this.height - 1, Math.floor(y0 - 0.5));
    for (let row = first; row <= last; row++) {
      const t = (row + 0.5 - y0) / rise;
      const x = x0 + run * t * t * (3 - 2 * t);
      // A curve that moves sideways by `slope` pixels per row cuts the row in a piece this wide.
      const slope = (run * 6 * t * (1 - t)) / rise;
      const half = 0.5 * thickness * Math.sqrt(1 + slope * slope);
      const left = Math.max(0, x - half);
      const right = Math.min(width, x + half);
      if (!(right > left)) continue; // outside, or not a number
      const from = left | 0;
      const to = Math.min(width - 1, right | 0);
      const start = row * width;
      if (from === to) {
        plane[start + from]! += amount * (right - left);
        continue;
      }
      plane[start + from]! += amount * (from + 1 - left);
      for (let column = from + 1; column < to; column++) plane[start + column]! += amount;
      plane[start + to]! += amount * (right - to);
    }
  }

  /** Factor on all ink that keeps a crowded picture from filling up; 1 for a sparse one. */
  gain(): number {
    const inks: number[] = [];
    const step = Math.max(1, Math.floor(this.positive.length / 20_000));
    for (let i = 0; i < this.positive.length; i += step) {
      const ink = this.positive[i]! + this.negative[i]!;
      if (ink > 0) inks.push(ink);
    }
    if (inks.length === 0) return 1;
    const high = Float64Array.from(inks).sort()[Math.floor(inks.length * 0.97)]!;
    return Math.min(1, CROWDED_INK / high);
  }

  /** Colour of every pixel as RGBA bytes: hue from the balance of signs, opacity from the ink. */
  paint(palette: Palette, pixels: Uint8ClampedArray): void {
    const gain = this.gain();
    const [pr, pg, pb] = palette.positive;
    const [nr, ng, nb] = palette.negative;
    for (let i = 0, at = 0; i < this.positive.length; i++, at += 4) {
      const ink = this.positive[i]! + this.negative[i]!;
      if (ink === 0) {
        pixels[at + 3] = 0;
        continue;
      }
      const part = this.positive[i]! / ink;
      pixels[at] = nr + (pr - nr) * part;
      pixels[at + 1] = ng + (pg - ng) * part;
      pixels[at + 2] = nb + (pb - nb) * part;
      pixels[at + 3] = 255 * CEILING * (1 - Math.exp(-gain * ink));
    }
  }
}
