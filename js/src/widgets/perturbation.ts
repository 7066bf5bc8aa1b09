/** PerturbationWidget in a notebook: one session per widget model, one view per place that shows it. */

import type { AnyModel, AnyWidget } from "@anywidget/types";
import type { PerturbationSession } from "../core/perturbation_session";
import { modelStore } from "../host/anywidget";
import type { TraitStore } from "../host/traits";
import { openSession } from "../ui/perturbation_traits";
import { mountPerturbation, mountPerturbationError } from "../ui/perturbation_view";
import "../ui/theme.css";
import "../ui/perturbation.css";

/**
 * A store whose answers come at once. Jupyter's server leaves Nagle's algorithm on: a message after another one is held
 * until the browser acknowledges the first, which it puts off for 40 ms unless it has something to send. A message
 * without content, which Python ignores, is something to send: after the kernel's "busy", and after the answer.
 */
function promptStore(model: AnyModel, abort: AbortSignal): TraitStore {
  const store = modelStore(model);
  const acknowledge = (): void => model.send({});
  const status = (message: { content?: { execution_state?: string } }): void => {
    if (message.content?.execution_state === "busy") acknowledge();
  };
  store.watch("_answer", acknowledge, abort);
  return {
    ...store,
    set: (name, value) => {
      model.set(name, value);
      // ipywidgets passes these on to the message; anywidget's types do not say so.
      (model.save_changes as (callbacks?: object) => void)(name === "strengths" ? { iopub: { status } } : undefined);
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
