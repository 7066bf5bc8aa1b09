/** ExamplesWidget in a notebook, by itself or in the side panel of a graph, which tells it the node in focus. */

import type { AnyWidget } from "@anywidget/types";
import { readCard } from "../core/examples/card";
import { ExamplesSession } from "../core/examples/session";
import type { NodeId } from "../core/graph/graph";
import { asFlag, asIntegerOrNull, asText, asTextOrNull, asTheme } from "../core/read_trait";
import { bindTrait } from "../core/traits";
import { modelStore, prompt } from "../host/anywidget";
import { mountExamples } from "../ui/examples/view";
import type { PanelExports } from "../ui/graph/panel_slot";
import "../ui/theme.css";
import "../ui/parts.css";
import "../ui/examples/examples.css";

export default (): ReturnType<Extract<AnyWidget, () => unknown>> => {
  let session: ExamplesSession;
  return {
    initialize({ model, signal }): PanelExports {
      const store = modelStore(model);
      const ask = prompt(model, "_card", signal);
      session = new ExamplesSession({
        feature: bindTrait(store, "feature", asText, signal),
        position: bindTrait(store, "position", asIntegerOrNull, signal),
        label: bindTrait(store, "label", asTextOrNull, signal),
        card: bindTrait(store, "_card", readCard, signal),
        compact: bindTrait(store, "compact", asFlag, signal),
        theme: bindTrait(store, "theme", asTheme, signal),
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
