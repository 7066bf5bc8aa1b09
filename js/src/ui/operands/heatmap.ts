/** A plot on a canvas of its own, one pixel per cell, which the style sheet makes as large as need be. */

import { paintField, paintShares, type Ramp } from "../../core/operands/heatmap";
import type { Field } from "../../core/operands/operands";
import { h } from "../parts/dom";

/** Where plots of one size are painted before they go to their canvases, one after the other. */
let scratch = new ImageData(1, 1);

export class Heatmap {
  readonly canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;

  constructor(
    readonly columns: number,
    readonly rows: number,
  ) {
    this.canvas = h("canvas", { width: columns, height: rows, "aria-hidden": "true" });
    this.#context = this.canvas.getContext("2d", { alpha: false })!;
  }

  field(field: Field, top: number, ramp: Ramp): void {
    this.#put((pixels) => paintField(field, top, ramp, this.columns, pixels));
  }

  shares(shares: Float32Array, ramp: Ramp): void {
    this.#put((pixels) => paintShares(shares, ramp, pixels));
  }

  #put(paint: (pixels: Uint32Array) => void): void {
    const { columns, rows } = this;
    if (scratch.width !== columns || scratch.height !== rows) scratch = new ImageData(columns, rows);
    paint(new Uint32Array(scratch.data.buffer));
    this.#context.putImageData(scratch, 0, 0);
  }
}
