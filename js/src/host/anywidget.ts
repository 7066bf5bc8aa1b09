/** The notebook's side of traits: what is set here goes to Python through the widget model. */

import type { AnyModel } from "@anywidget/types";
import { atEnd } from "../core/lifetime";
import type { TraitStore } from "../core/traits";

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

/** Whether the page comes from a Jupyter server that lets small messages out at once (ct_widgets/server.py). */
function serverSendsAtOnce(): boolean {
  try {
    const config: unknown = JSON.parse(document.getElementById("jupyter-config-data")?.textContent ?? "{}");
    return (config as { ctWidgetsAtOnce?: unknown } | null)?.ctWidgetsAtOnce === true;
  } catch {
    return false;
  }
}

/**
 * Send what was set, for an answer that comes at once in the trait `answer`. Jupyter's server by itself leaves Nagle's
 * algorithm on: a message after another one is held until the browser acknowledges the first, which it puts off for
 * 40 ms unless it has something to send. A message without content, which Python ignores, is something to send: after
 * the kernel's "busy", and after the answer. Where nothing is held they would only be in the way.
 */
export function prompt(model: AnyModel, answer: string, abort: AbortSignal): () => void {
  if (serverSendsAtOnce()) return () => model.save_changes();
  const acknowledge = (): void => model.send({});
  const status = (message: { content?: { execution_state?: string } }): void => {
    if (message.content?.execution_state === "busy") acknowledge();
  };
  modelStore(model).watch(answer, acknowledge, abort);
  // ipywidgets passes these on to the message; anywidget's types do not say so.
  return () => (model.save_changes as (callbacks?: object) => void)({ iopub: { status } });
}
