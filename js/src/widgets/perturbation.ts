/** PerturbationWidget in a notebook: one session per widget model, one view per place that shows it. */

import type { AnyModel, AnyWidget } from "@anywidget/types";
import { atEnd } from "../core/lifetime";
import type { PerturbationSession } from "../core/perturbation/session";
import { openOrReport, type TraitStore } from "../core/traits";
import { modelStore, prompt } from "../host/anywidget";
import { openPerturbation } from "../host/perturbation_traits";
import { mountPerturbation, mountPerturbationError } from "../ui/perturbation/view";
import "../ui/theme.css";
import "../ui/parts.css";
import "../ui/perturbation/perturbation.css";

/** A store that sends strengths for a prompt answer. */
function promptStore(model: AnyModel, abort: AbortSignal): TraitStore {
  const store = modelStore(model);
  const ask = prompt(model, "_answer", abort);
  return {
    ...store,
    set: (name, value) => {
      if (name !== "strengths") return store.set(name, value);
      model.set(name, value);
      return ask();
    },
  };
}

/** Say hello twice (see `_greet` in Python): the first may go before JupyterLab has a thread for this widget. */
function greet(model: AnyModel, abort: AbortSignal): void {
  const again = (): void => {
    model.off("msg:custom", again);
    model.send({ kind: "hello" });
  };
  model.on("msg:custom", again);
  atEnd(abort, () => model.off("msg:custom", again));
  model.send({ kind: "hello" });
}

export default (): ReturnType<Extract<AnyWidget, () => unknown>> => {
  let session: PerturbationSession | Error;
  return {
    initialize({ model, signal }) {
      const store = promptStore(model, signal);
      // Not taken back where that goes well: what Python itself could not do stands in the same trait.
      session = openOrReport(store, () => openPerturbation(store, signal));
      if (!(session instanceof Error)) greet(model, signal);
    },
    render({ el, signal }) {
      if (session instanceof Error) mountPerturbationError(el, session, signal);
      else mountPerturbation(el, session, signal);
    },
  };
};
