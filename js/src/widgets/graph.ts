/** GraphWidget in a notebook: one session per widget model, one view per place that shows it. */

import type { AnyWidget } from "@anywidget/types";
import type { Session } from "../core/graph_widget/session";
import { openOrReport, reportError } from "../core/traits";
import { modelStore } from "../host/anywidget";
import { openGraph } from "../host/graph_traits";
import { mountError, mountGraph } from "../ui/graph/view";
import "../ui/theme.css";
import "../ui/parts.css";
import "../ui/graph/graph.css";
import "../ui/plot/plot.css";
import "../ui/graph/panel.css";
import "../ui/subgraph/subgraph.css";
import "../ui/graph/sizes.css";

export default (): ReturnType<Extract<AnyWidget, () => unknown>> => {
  let session: Session | Error;
  return {
    initialize({ model, signal }) {
      const store = modelStore(model);
      session = openOrReport(store, () => openGraph(store, signal, () => model.send({ ask: "suggestions" })));
      if (!(session instanceof Error)) reportError(store, "");
    },
    render({ el, signal, host }) {
      if (session instanceof Error) mountError(el, session, signal);
      else mountGraph(el, session, signal, host);
    },
  };
};
