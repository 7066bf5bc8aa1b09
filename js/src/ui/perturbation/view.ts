/** One view of a perturbation: settings, the figure of boxes, outputs and curve, kept in step with the session. */

import { visibleToken } from "../../core/format";
import { live } from "../../core/lifetime";
import { pythonCode } from "../../core/perturbation/perturbation";
import type { PerturbationSession } from "../../core/perturbation/session";
import { button, h, onResize, s } from "../parts/dom";
import { download, pngOf, standaloneSvg } from "../parts/export";
import { errorView, mountRoot } from "../parts/mount";
import { textMeasure } from "../parts/text_measure";
import { followTheme } from "../parts/theme";
import { createBoxes } from "./boxes";
import { createCurve } from "./curve";
import { createOutputs } from "./outputs";
import { createSettings } from "./settings";

/** Narrower views put outputs and curve below the boxes. */
const WIDE = 780;
const SIDE = 330;
const GAP = 24;
const MARGIN = 12;

/** Fill `el` as soon as it has a size (a notebook may render before it shows), until `abort`. */
export function mountPerturbation(el: HTMLElement, session: PerturbationSession, abort: AbortSignal): void {
  mountRoot(el, "ctw ctw-perturbation", (root) => build(root, session, abort), abort);
}

function build(root: HTMLElement, session: PerturbationSession, abort: AbortSignal): void {
  followTheme(root, session.synced.theme, abort);
  const svg = createFigure(session, root, abort);
  root.append(
    createHeader(session, svg, abort),
    createSettings(session, abort),
    createStatus(session, abort),
    svg,
    createCode(session, abort),
  );
}

export const mountPerturbationError = errorView("ctw-perturbation", "This perturbation");

function createHeader(session: PerturbationSession, svg: SVGSVGElement, abort: AbortSignal): HTMLElement {
  const { graph } = session;
  const save = async (kind: "svg" | "png"): Promise<void> => {
    const text = standaloneSvg(svg, getComputedStyle(svg.parentElement!).backgroundColor);
    download(kind === "svg" ? new Blob([text], { type: "image/svg+xml" }) : await pngOf(text), `perturbation.${kind}`);
  };
  const reset = button("Reset all", "Every slider back to 1", abort, () => session.resetAll());
  const undo = button("Undo", "Undo the last change", abort, () => session.undo());
  live(abort, () => {
    undo.disabled = !session.canUndo.value;
    reset.disabled = Object.keys(session.synced.strengths.value).length === 0;
  });
  return h(
    "header",
    { class: "ctw-p-header" },
    h("span", { class: "ctw-p-prompt", title: graph.prompt.slice(0, 4000) }, visibleToken(graph.prompt, 300)),
    h(
      "span",
      { class: "ctw-p-buttons" },
      reset,
      undo,
      button("SVG", "Download the figure as SVG", abort, () => void save("svg")),
      button("PNG", "Download the figure as PNG", abort, () => void save("png")),
    ),
  );
}

function createStatus(session: PerturbationSession, abort: AbortSignal): HTMLElement {
  const line = h("p", { class: "ctw-p-status", role: "status" });
  live(abort, () => {
    const [error, answer] = [session.synced.error.value, session.answer.value];
    line.classList.toggle("ctw-p-error", error !== "");
    if (error) line.textContent = `The model did not answer: ${error}. Change a slider or a setting to try again.`;
    else if (!answer) line.textContent = "Waiting for the model.";
    else {
      const legend =
        "Drag a box, or use arrow keys; double click resets. Bar: activity as a multiple of what it was (line at 1); " +
        "outlined where direct effects hold by construction, filled for knock-on effects; ◇ predicted by the graph.";
      line.textContent = legend;
    }
  });
  return line;
}

function createFigure(session: PerturbationSession, root: HTMLElement, abort: AbortSignal): SVGSVGElement {
  const svg = s("svg", { class: "ctw-p-figure", role: "group", "aria-label": "supernodes with their strengths" });
  const measures = { plain: textMeasure(root), title: textMeasure(root, "600 11px", "--ctw-sans") };
  const boxes = createBoxes(session, measures, abort);
  const outputs = createOutputs(session);
  const curve = createCurve(session);
  svg.append(boxes.element, outputs.element, curve.element);
  let width = 0;
  const lay = (): void => {
    const inner = width - 2 * MARGIN;
    const wide = inner >= WIDE;
    const side = wide ? SIDE : inner;
    const high = boxes.lay(wide ? inner - SIDE - GAP : inner);
    outputs.lay(side);
    curve.lay(side);
    const [x, y] = wide ? [MARGIN + inner - SIDE, MARGIN] : [MARGIN, high + 2 * MARGIN];
    boxes.element.setAttribute("transform", `translate(${MARGIN} 0)`);
    outputs.element.setAttribute("transform", `translate(${x} ${y})`);
    curve.element.setAttribute("transform", `translate(${x} ${y + outputs.height + GAP})`);
    const total = Math.max(high, y + outputs.height + GAP + curve.height + MARGIN);
    svg.setAttribute("viewBox", `0 0 ${width} ${total}`);
    svg.setAttribute("width", String(width));
    svg.setAttribute("height", String(total));
    outputs.paint();
  };
  const resized = (): void => {
    const now = Math.floor(root.clientWidth);
    if (now === 0 || now === width) return;
    width = now;
    lay();
  };
  onResize(root, resized, abort);
  live(abort, () => {
    boxes.paint();
    outputs.paint();
    curve.paint();
    // Which strengths the numbers are for: the answer may be a step behind the hand.
    svg.dataset["answered"] = JSON.stringify(session.answer.value?.strengths ?? null);
  });
  return svg;
}

/** The same call in Python, to copy. */
function createCode(session: PerturbationSession, abort: AbortSignal): HTMLElement {
  const code = h("pre", { class: "ctw-p-code-text", tabindex: 0 });
  const copied = h("span", { class: "ctw-muted" });
  const copy = async (): Promise<void> => {
    getSelection()?.selectAllChildren(code);
    try {
      await navigator.clipboard.writeText(code.textContent ?? "");
      copied.textContent = "copied";
    } catch {
      copied.textContent = "selected: press Ctrl or Cmd + C";
    }
  };
  const details = h(
    "details",
    { class: "ctw-p-python" },
    h("summary", {}, "As Python"),
    h(
      "div",
      {},
      button("Copy", "Copy the code", abort, () => void copy()),
      copied,
    ),
    code,
  );
  live(abort, () => {
    const answer = session.answer.value;
    copied.textContent = "";
    code.textContent = answer ? pythonCode(session.graph, session.boxes, answer) : "";
  });
  return details;
}
