/** GlobalWeightsWidget in a notebook. */

import type { AnyWidget } from "@anywidget/types";
import { readTrait } from "../core/session";
import { readRanking, readStep } from "../core/walk";
import { modelStore } from "../host/anywidget";
import { bindTrait } from "../host/traits";
import { mountWalk } from "../ui/walk_view";
import "../ui/theme.css";
import "../ui/examples.css";
import "../ui/walk.css";

export default {
  render({ model, el, signal }) {
    const store = modelStore(model);
    const text = (value: unknown): string => (typeof value === "string" ? value : "");
    mountWalk(
      el,
      {
        feature: bindTrait(store, "feature", text, signal),
        by: bindTrait(store, "by", readRanking, signal),
        trail: bindTrait(store, "trail", readTrait.texts, signal),
        rankings: bindTrait(store, "_rankings", readTrait.texts, signal),
        step: bindTrait(store, "_walk", readStep, signal),
        theme: bindTrait(store, "theme", readTrait.theme, signal),
      },
      signal,
    );
  },
} satisfies AnyWidget;
