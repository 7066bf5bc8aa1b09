/** GlobalWeightsWidget in a notebook. */

import type { AnyWidget } from "@anywidget/types";
import { readRanking, readStep } from "../core/global_weights/walk";
import { asText, asTexts, asTheme } from "../core/read_trait";
import { bindTrait } from "../core/traits";
import { modelStore } from "../host/anywidget";
import { mountWalk } from "../ui/global_weights/view";
import "../ui/theme.css";
import "../ui/parts.css";
import "../ui/examples/examples.css";
import "../ui/global_weights/global_weights.css";

export default {
  render({ model, el, signal }) {
    const store = modelStore(model);
    mountWalk(
      el,
      {
        feature: bindTrait(store, "feature", asText, signal),
        by: bindTrait(store, "by", readRanking, signal),
        trail: bindTrait(store, "trail", asTexts, signal),
        rankings: bindTrait(store, "_rankings", asTexts, signal),
        step: bindTrait(store, "_walk", readStep, signal),
        theme: bindTrait(store, "theme", asTheme, signal),
      },
      signal,
    );
  },
} satisfies AnyWidget;
