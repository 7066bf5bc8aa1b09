/** ExamplesWidget in a notebook, by itself or in the side panel of a graph, which tells it the node in focus. */

import type { AnyWidget } from "@anywidget/types";
import { ExamplesSession, readExamplesTrait } from "../core/examples_session";
import type { NodeId } from "../core/graph";
import { readTrait } from "../core/session";
import { modelStore, prompt } from "../host/anywidget";
import { bindTrait } from "../host/traits";
import { mountExamples } from "../ui/examples_view";
import type { PanelExports } from "../ui/panel_slot";
import "../ui/theme.css";
import "../ui/examples.css";

export default (): ReturnType<Extract<AnyWidget, () => unknown>> => {
  let session: ExamplesSession;
  return {
    initialize({ model, signal }): PanelExports {
      const store = modelStore(model);
      const ask = prompt(model, "_card", signal);
      session = new ExamplesSession({
        feature: bindTrait(store, "feature", readExamplesTrait.feature, signal),
        position: bindTrait(store, "position", readExamplesTrait.position, signal),
        label: bindTrait(store, "label", readExamplesTrait.label, signal),
        card: bindTrait(store, "_card", readExamplesTrait.card, signal),
        compact: bindTrait(store, "compact", readExamplesTrait.compact, signal),
        theme: bindTrait(store, "theme", readTrait.theme, signal),
      });
      return {
        showNode([kind, layer, position, index]: NodeId) {
          if (kind !== "feature") return false;
          // Both in one message: the answer to one alone would be for nothing.
          model.set("position", position);
          model.set("feature", `L${layer}/${index}`);
          ask();
          return true;
        },
      };
    },
    render({ el, signal }) {
      mountExamples(el, session, signal);
    },
  };
};
