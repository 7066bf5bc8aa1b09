/** PerturbationWidget in a notebook: one session per widget model, one view per place that shows it. */

import type { AnyModel, AnyWidget } from "@anywidget/types";
import type { PerturbationSession } from "../core/perturbation_session";
import { modelStore, prompt } from "../host/anywidget";
import type { TraitStore } from "../host/traits";
import { openSession } from "../ui/perturbation_traits";
import { mountPerturbation, mountPerturbationError } from "../ui/perturbation_view";
import "../ui/theme.css";
import "../ui/perturbation.css";

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
  abort.addEventListener("abort", () => model.off("msg:custom", again), { once: true });
  model.send({ kind: "hello" });
}

export default (): ReturnType<Extract<AnyWidget, () => unknown>> => {
  let session: PerturbationSession | Error;
  return {
    initialize({ model, signal }) {
      try {
        session = openSession(promptStore(model, signal), signal);
        greet(model, signal);
      } catch (error) {
        session = error instanceof Error ? error : new Error(String(error));
      }
    },
    render({ el, signal }) {
      if (session instanceof Error) mountPerturbationError(el, session.message, signal);
      else mountPerturbation(el, session, signal);
    },
  };
};
