/** Traits of a notebook's widget model. */

import type { AnyModel } from "@anywidget/types";
import type { TraitStore } from "./traits";

export function modelStore(model: AnyModel): TraitStore {
  return {
    get: (name) => model.get(name),
    set: (name, value) => {
      model.set(name, value);
      model.save_changes();
    },
    watch: (name, changed, abort) => {
      model.on(`change:${name}`, changed);
      abort.addEventListener("abort", () => model.off(`change:${name}`, changed), { once: true });
    },
  };
}

/**
 * Say hello twice, so that this widget's messages do not wait for a cell that runs (see `_greet` in Python): the first
 * may go before JupyterLab has a thread for it.
 */
export function greet(model: AnyModel, abort: AbortSignal): void {
  const again = (): void => {
    model.off("msg:custom", again);
    model.send({ kind: "hello" });
  };
  model.on("msg:custom", again);
  abort.addEventListener("abort", () => model.off("msg:custom", again), { once: true });
  model.send({ kind: "hello" });
}
