/** OperandWidget in a notebook: one session per widget model, one view per place that shows it. */

import type { AnyModel, AnyWidget } from "@anywidget/types";
import type { OperandSession } from "../core/operand_session";
import { modelStore } from "../host/anywidget";
import { openOperands } from "../host/operand_traits";
import type { TraitStore } from "../host/traits";
import { mountOperands, mountOperandsError } from "../ui/operands_view";
import "../ui/theme.css";
import "../ui/operands.css";

/** Let the node that is selected in one be selected in the other, until `abort`. */
function link(graph: TraitStore, sheet: TraitStore, abort: AbortSignal): void {
  const follow = (from: TraitStore, to: TraitStore): void => {
    const node = from.get("selected");
    if (JSON.stringify(node) !== JSON.stringify(to.get("selected"))) to.set("selected", node);
  };
  graph.watch("selected", () => follow(graph, sheet), abort);
  sheet.watch("selected", () => follow(sheet, graph), abort);
  if (graph.get("selected")) follow(graph, sheet);
  else follow(sheet, graph);
}

export default (): ReturnType<Extract<AnyWidget, () => unknown>> => {
  let session: OperandSession | Error;
  let life: AbortSignal;
  let linked = false;
  return {
    initialize({ model, signal }) {
      life = signal;
      try {
        session = openOperands(modelStore(model), signal);
      } catch (error) {
        session = error instanceof Error ? error : new Error(String(error));
      }
    },
    async render({ model, el, signal, host }) {
      if (session instanceof Error) {
        mountOperandsError(el, session.message, signal);
        return;
      }
      mountOperands(el, session, signal);
      const view: string | null = model.get("view");
      if (!view || linked) return;
      linked = true;
      link(modelStore((await host.getModel(view)) as AnyModel), modelStore(model), life);
    },
  };
};
