/** Traits of a notebook's widget model. */

import type { AnyModel } from "@anywidget/types";
import { atEnd, type TraitStore } from "./traits";

export function modelStore(model: AnyModel): TraitStore {
  return {
    get: (name) => model.get(name),
    set: (name, value) => {
      model.set(name, value);
      model.save_changes();
    },
    watch: (name, changed, abort) => {
      model.on(`change:${name}`, changed);
      atEnd(abort, () => model.off(`change:${name}`, changed));
    },
  };
}

/**
 * Send what was set, for an answer that comes at once in the trait `answer`. Jupyter's server leaves Nagle's algorithm
 * on: a message after another one is held until the browser acknowledges the first, which it puts off for 40 ms unless
 * it has something to send. A message without content, which Python ignores, is something to send: after the kernel's
 * "busy", and after the answer.
 */
export function prompt(model: AnyModel, answer: string, abort: AbortSignal): () => void {
  const acknowledge = (): void => model.send({});
  const status = (message: { content?: { execution_state?: string } }): void => {
    if (message.content?.execution_state === "busy") acknowledge();
  };
  modelStore(model).watch(answer, acknowledge, abort);
  // ipywidgets passes these on to the message; anywidget's types do not say so.
  return () => (model.save_changes as (callbacks?: object) => void)({ iopub: { status } });
}
