/** The mark of each kind of node, as a path on a canvas and as an inline picture in lists. */

import { EMBEDDING, ERROR, FEATURE, LOGIT } from "../../core/graph/graph";
import { s } from "./dom";
import { type PathSink, VectorPen } from "./vector";

const ICON_RADIUS = 4;

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
  const pen = new VectorPen();
  traceShape(pen, kind, 6, 6, ICON_RADIUS);
  const mark = s("path", { d: pen.path, class: kind === ERROR ? "ctw-mark ctw-hollow" : "ctw-mark" });
  return s("svg", { class: "ctw-icon", viewBox: "0 0 12 12", width: 12, height: 12, "aria-hidden": "true" }, mark);
}
