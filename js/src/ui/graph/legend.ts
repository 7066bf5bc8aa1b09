/** The legend of the graph widget: what every mark and key means, one click away. */

import { EMBEDDING, ERROR, FEATURE, KINDS, LOGIT } from "../../core/graph/graph";
import { h } from "../parts/dom";
import { shapeIcon } from "../parts/shapes";

export function createLegend(): HTMLElement {
  const entry = (mark: Node, text: string): HTMLElement => h("li", {}, mark, h("span", {}, text));
  const swatch = (name: string): HTMLElement => h("span", { class: `ctw-swatch ctw-swatch-${name}` });
  const keys = (...names: string[]): HTMLElement =>
    h("span", { class: "ctw-keys" }, ...names.map((name) => h("kbd", {}, name)));
  return h(
    "div",
    { class: "ctw-legend", hidden: true, role: "region", "aria-label": "legend" },
    h(
      "ul",
      {},
      entry(shapeIcon(EMBEDDING), "token of the prompt"),
      entry(shapeIcon(FEATURE), "feature, larger and darker with more influence"),
      entry(shapeIcon(ERROR), "error: what features miss"),
      entry(shapeIcon(LOGIT), "possible next token"),
      entry(shapeIcon(KINDS.length - 1), "any other kind"),
      entry(swatch("group"), "supernode"),
    ),
    h(
      "ul",
      {},
      entry(swatch("line ctw-positive"), "+ raises its target, wide: by much of its input"),
      entry(swatch("line ctw-negative"), "\u2212 lowers its target"),
      entry(swatch("selected"), "selected"),
      entry(swatch("hovered"), "hovered"),
      entry(swatch("same"), "the same feature or supernode"),
      entry(swatch("pinned"), "pinned"),
      entry(swatch("unmatched"), "only in this graph"),
    ),
    h(
      "ul",
      {},
      entry(keys("←", "→", "↑", "↓"), "next node"),
      entry(keys("[", "]"), "strongest input, output"),
      entry(keys("P"), "pin into the subgraph (also ⇧ click)"),
      entry(keys("T"), "paths from here, to there"),
      entry(keys("G", "⇧G"), "group, ungroup"),
      entry(keys("Space", "↵"), "mark, name a box"),
      entry(keys("⇧←→↑↓"), "move a box"),
      entry(keys("Ctrl/Cmd", "Z"), "undo (with ⇧ redo)"),
      entry(keys("L"), "label"),
      entry(keys("/"), "search"),
      entry(keys("Esc"), "release"),
      entry(keys("+", "\u2212", "0"), "zoom (also Ctrl/Cmd + wheel)"),
      entry(keys("Z"), "zoom to selection"),
      entry(keys("E"), "unfold, fold"),
    ),
  );
}
