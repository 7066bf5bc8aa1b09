/** The plot as it is now, as SVG: nodes, strokes and text as such, the bitmap of all edges as a picture. */

import { css } from "../../core/palette";
import { s } from "../parts/dom";
import { textElement } from "../parts/export";
import { vector } from "../parts/vector";
import type { PlotLayers } from "./layers";
import { paintFocus, paintGrid, paintNodes, underline } from "./paint";

/** `element` is the whole plot with its labels, `stage` the part that the layers fill. */
export function plotPicture(layers: PlotLayers, element: HTMLElement, stage: HTMLElement): string {
  const scene = layers.scene()!;
  const { width, height } = scene.layout;
  const { session } = layers.state;
  const parts = [
    vector((pen) => paintGrid(pen, scene)),
    s("image", { href: layers.density.bitmap.toDataURL(), width, height }),
    vector((pen) => {
      paintNodes(pen, scene);
      underline(pen, scene, session.unmatchedRows.peek());
    }),
    vector((pen) => paintFocus(pen, scene, layers.state.focus())),
  ];
  for (const [i, part] of parts.entries())
    part.setAttribute("opacity", getComputedStyle(layers.canvases[Math.max(0, i - 1)]!).opacity);
  const frame = element.getBoundingClientRect();
  const within = (part: Element): { x: number; y: number } => {
    const { left, top } = part.getBoundingClientRect();
    return { x: left - frame.left, y: top - frame.top };
  };
  const svg = s(
    "svg",
    { viewBox: `0 0 ${frame.width} ${frame.height}`, width: frame.width, height: frame.height },
    s("rect", { width: "100%", height: "100%", fill: css(scene.palette.surface) }),
    s("svg", { ...within(stage), width, height }, ...parts),
    ...layers.labels.placed.map((placed) => textElement(placed, within(placed.element.parentElement!))),
  );
  return new XMLSerializer().serializeToString(svg);
}
