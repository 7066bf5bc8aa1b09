/** A plot on a canvas of its own, one pixel per cell, which the style sheet makes as large as need be. */

import { paintField, paintShares, type Ramp } from "../core/heatmap";
import type { Field } from "../core/operands";
import { h } from "./dom";

export class Heatmap {
  readonly canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;
  readonly #image: ImageData;
  readonly #pixels: Uint32Array;

  constructor(
    readonly columns: number,
    rows: number,
  ) {
    this.canvas = h("canvas", { width: columns, height: rows, "aria-hidden": "true" });
    this.#context = this.canvas.getContext("2d", { alpha: false })!;
    this.#image = this.#context.createImageData(columns, rows);
    this.#pixels = new Uint32Array(this.#image.data.buffer);
  }

  field(field: Field, top: number, ramp: Ramp): void {
    paintField(field, top, ramp, this.columns, this.#pixels);
    this.#context.putImageData(this.#image, 0, 0);
  }

  shares(shares: Float32Array, ramp: Ramp): void {
    paintShares(shares, ramp, this.#pixels);
    this.#context.putImageData(this.#image, 0, 0);
  }
}
