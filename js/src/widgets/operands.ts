/** OperandWidget in a notebook: one session per widget model, one view per place that shows it. */

import type { AnyModel, AnyWidget } from "@anywidget/types";
import type { OperandSession } from "../core/operands/session";
import { openOrReport, reportError, type TraitStore } from "../core/traits";
import { modelStore } from "../host/anywidget";
import { openOperands } from "../host/operand_traits";
import { mountOperands, mountOperandsError } from "../ui/operands/view";
import "../ui/theme.css";
import "../ui/parts.css";
import "../ui/operands/operands.css";

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
      const store = modelStore(model);
      session = openOrReport(store, () => openOperands(store, signal));
      if (!(session instanceof Error)) reportError(store, "");
    },
    async render({ model, el, signal, host }) {
      if (session instanceof Error) {
        mountOperandsError(el, session, signal);
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
