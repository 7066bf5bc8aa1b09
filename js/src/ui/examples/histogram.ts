/** The histogram of a feature's activations, the one at hand marked. */

import { type Histogram, placeInBins } from "../../core/examples/card";
import { formatCount, formatNumber } from "../../core/format";
import { h, s } from "../parts/dom";

const BAR = 8;
const HEIGHT = 44;
const MARK_ROOM = 7;

/** Bars of equal width, four to a doubling of the activation; heights are logarithms of counts, for few are many. */
export function histogramFigure(histogram: Histogram, activation: number | null): HTMLElement {
  const { counts, edges } = histogram;
  const width = Math.max(1, counts.length) * BAR;
  const largest = Math.max(1, ...counts);
  const bars = counts.map((count, bin) => {
    const size = count === 0 ? 0 : Math.max(1.5, (Math.log1p(count) / Math.log1p(largest)) * HEIGHT);
    const range = `${edge(edges[bin], "below")} to ${edge(edges[bin + 1], "above")}`;
    const bar = s("rect", {
      class: "ctw-bin",
      x: bin * BAR + 0.5,
      width: BAR - 1,
      y: MARK_ROOM + HEIGHT - size,
      height: size,
      "data-tip": `${range}: ${formatCount(count)} tokens`,
    });
    return bar;
  });
  const figure = s(
    "svg",
    {
      class: "ctw-histogram",
      viewBox: `0 0 ${width} ${MARK_ROOM + HEIGHT + 1}`,
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": `Histogram of activations from ${edge(edges[0], "0")} to ${edge(edges[counts.length], "more")}`,
    },
    s("rect", { class: "ctw-axis", x: 0, width, y: MARK_ROOM + HEIGHT, height: 1 }),
    ...bars,
  );
  const ends = h(
    "div",
    { class: "ctw-ends" },
    h(
      "span",
      {},
      edge(
        edges.find((value) => value !== null),
        "0",
      ),
    ),
    h("span", {}, edge(edges.filter((value) => value !== null).at(-1), "")),
  );
  const plot = h("div", { class: "ctw-bins" }, figure);
  if (activation !== null && activation > 0 && counts.length > 0) {
    const mark = h("span", { class: "ctw-here-mark", "data-tip": `here ${formatNumber(activation, 5)}` });
    mark.style.left = `${(100 * placeInBins(histogram, activation)) / counts.length}%`;
    plot.append(mark);
    ends.insertBefore(h("span", { class: "ctw-here-value" }, `here ${formatNumber(activation)}`), ends.lastChild);
  }
  return h("div", { class: "ctw-histogram-box" }, plot, ends);
}

function edge(value: number | null | undefined, otherwise: string): string {
  return value === null || value === undefined ? otherwise : formatNumber(value);
}
