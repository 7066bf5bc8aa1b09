/** GraphWidget in a notebook: one session per widget model, one view per place that shows it. */

import type { AnyWidget } from "@anywidget/types";
import { decodeColumns } from "../core/columns";
import { readGraph } from "../core/graph";
import { Session } from "../core/session";
import { modelStore } from "../host/anywidget";
import { bindGraph } from "../host/graph_traits";
import { mountError, mountGraph } from "../ui/graph_view";
import "../ui/theme.css";
import "../ui/graph.css";

export default (): ReturnType<Extract<AnyWidget, () => unknown>> => {
  let session: Session | Error;
  return {
    initialize({ model, signal }) {
      try {
        session = new Session(
          readGraph(decodeColumns(model.get("_columns"))),
          bindGraph(modelStore(model), signal),
          () => model.send({ ask: "suggestions" }),
        );
      } catch (error) {
        session = error instanceof Error ? error : new Error(String(error));
      }
    },
    render({ el, signal, host }) {
      if (session instanceof Error) mountError(el, session.message, signal);
      else mountGraph(el, session, signal, host);
    },
  };
};
