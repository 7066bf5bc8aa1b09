/** A canvas context, as far as the plot uses one, that draws SVG elements. */

import { s } from "./dom";

/** What painters draw with: a canvas, or this. */
export type Pen = Pick<
  CanvasRenderingContext2D,
  "fillStyle" | "strokeStyle" | "lineWidth" | "beginPath" | "closePath" | "fill" | "stroke" | "setLineDash"
> &
  PathSink;
export type PathSink = Pick<
  CanvasRenderingContext2D,
  "moveTo" | "lineTo" | "bezierCurveTo" | "closePath" | "arc" | "rect" | "roundRect"
>;

/** A group of what `paint` draws. */
export function vector(paint: (pen: Pen) => void): SVGGElement {
  const pen = new VectorPen();
  paint(pen);
  return pen.element;
}

export class VectorPen {
  readonly element = s("g");
  fillStyle: CanvasRenderingContext2D["fillStyle"] = "";
  strokeStyle: CanvasRenderingContext2D["strokeStyle"] = "";
  lineWidth = 1;
  /** The path so far, as the attribute `d`. */
  path = "";
  #dash: number[] = [];

  beginPath(): void {
    this.path = "";
  }

  moveTo(x: number, y: number): void {
    this.#add("M", x, y);
  }

  lineTo(x: number, y: number): void {
    this.#add("L", x, y);
  }

  bezierCurveTo(...points: [number, number, number, number, number, number]): void {
    this.#add("C", ...points);
  }

  closePath(): void {
    this.#add("Z");
  }

  /** A whole circle, which is all that is asked for. */
  arc(x: number, y: number, radius: number): void {
    this.roundRect(x - radius, y - radius, 2 * radius, 2 * radius, radius);
  }

  rect(x: number, y: number, width: number, height: number): void {
    this.roundRect(x, y, width, height, 0);
  }

  roundRect(x: number, y: number, width: number, height: number, radius: number): void {
    const [across, down] = [width - 2 * radius, height - 2 * radius];
    this.moveTo(x + radius, y);
    for (const [run, rise, toX, toY] of [
      [across, 0, 1, 1],
      [0, down, -1, 1],
      [-across, 0, -1, -1],
      [0, -down, 1, -1],
    ] as const) {
      this.#add("l", run, rise);
      this.#add("a", radius, radius, 0, 0, 1, toX * radius, toY * radius);
    }
    this.closePath();
  }

  setLineDash(dash: number[]): void {
    this.#dash = dash;
  }

  fill(): void {
    this.#draw({ fill: String(this.fillStyle) });
  }

  stroke(): void {
    this.#draw({
      fill: "none",
      stroke: String(this.strokeStyle),
      "stroke-width": this.lineWidth,
      "stroke-dasharray": this.#dash.join(" ") || undefined,
    });
  }

  #add(command: string, ...numbers: number[]): void {
    this.path += command + numbers.map((value) => Math.round(value * 100) / 100).join(" ");
  }

  #draw(style: Record<string, string | number | undefined>): void {
    // As on a canvas, what lies nowhere is not drawn.
    if (!this.path.includes("NaN")) this.element.append(s("path", { d: this.path, ...style }));
  }
}
