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
