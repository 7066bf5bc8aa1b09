/** CircuitExplorer in a notebook: graph and panels are widgets of their own. */

import type { AnyWidget } from "@anywidget/types";
import { modelStore } from "../host/anywidget";
import { mountExplorer } from "../ui/explorer/view";
import "../ui/theme.css";
import "../ui/explorer/explorer.css";

export default {
  async render({ model, el, signal, host }) {
    const graph = modelStore(await host.getModel(model.get("view")));
    if (!signal.aborted) await mountExplorer(el, modelStore(model), graph, host, signal);
  },
} satisfies AnyWidget;
