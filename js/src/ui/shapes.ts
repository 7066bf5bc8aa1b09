/** The mark of each kind of node, as a path on a canvas and as an inline picture in lists. */

import { EMBEDDING, ERROR, FEATURE, LOGIT } from "../core/graph";
import { s } from "./dom";

interface PathSink {
  moveTo(x: number, y: number): void;
  lineTo(x: number, y: number): void;
  closePath(): void;
  arc(x: number, y: number, radius: number, start: number, end: number): void;
  rect(x: number, y: number, width: number, height: number): void;
  roundRect(x: number, y: number, width: number, height: number, radius: number): void;
}

/** Trace the outline of a node of `kind`; all kinds cover about the same area. */
export function traceShape(path: PathSink, kind: number, x: number, y: number, radius: number): void {
  const side = radius * 0.9;
  switch (kind) {
    case FEATURE:
      path.moveTo(x + radius, y);
      path.arc(x, y, radius, 0, 2 * Math.PI);
      break;
    case EMBEDDING:
      path.rect(x - side, y - side, 2 * side, 2 * side);
      break;
    case LOGIT:
      path.roundRect(x - side * 1.2, y - side, 2.4 * side, 2 * side, side * 0.6);
      break;
    case ERROR:
      path.moveTo(x, y - radius * 1.2);
      path.lineTo(x + radius * 1.2, y);
      path.lineTo(x, y + radius * 1.2);
      path.lineTo(x - radius * 1.2, y);
      path.closePath();
      break;
    default:
      path.moveTo(x, y - radius * 1.1);
      path.lineTo(x + radius * 1.1, y + radius * 0.9);
      path.lineTo(x - radius * 1.1, y + radius * 0.9);
      path.closePath();
  }
}

/** A 12 px picture of the mark. */
export function shapeIcon(kind: number): SVGSVGElement {
  const style = { class: kind === ERROR ? "ctw-mark ctw-hollow" : "ctw-mark" };
  const marks: Record<number, SVGElement> = {
    [FEATURE]: s("circle", { cx: 6, cy: 6, r: 4, ...style }),
    [EMBEDDING]: s("rect", { x: 2.4, y: 2.4, width: 7.2, height: 7.2, ...style }),
    [LOGIT]: s("rect", { x: 1.4, y: 2.4, width: 9.2, height: 7.2, rx: 2.2, ...style }),
    [ERROR]: s("path", { d: "M6 1.2 10.8 6 6 10.8 1.2 6Z", ...style }),
  };
  const mark = marks[kind] ?? s("path", { d: "M6 1.6 10.4 9.6H1.6Z", ...style });
  return s("svg", { class: "ctw-icon", viewBox: "0 0 12 12", width: 12, height: 12, "aria-hidden": "true" }, mark);
}
