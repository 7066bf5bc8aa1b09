/** TrainingWidget in a notebook: one session per widget model, one view per place that shows it. */

import type { AnyWidget } from "@anywidget/types";
import { asTheme } from "../core/read_trait";
import { TrainingSession } from "../core/training/session";
import { readCards, readCharts, readCommand, readRun } from "../core/training/training";
import { bindTrait } from "../core/traits";
import { modelStore } from "../host/anywidget";
import { mountTraining } from "../ui/training/view";
import "../ui/theme.css";
import "../ui/parts.css";
import "../ui/examples/examples.css";
import "../ui/training/training.css";

export default (): ReturnType<Extract<AnyWidget, () => unknown>> => {
  let session: TrainingSession;
  return {
    initialize({ model, signal }) {
      const store = modelStore(model);
      session = new TrainingSession({
        run: bindTrait(store, "_run", readRun, signal),
        charts: bindTrait(store, "_curves", readCharts, signal),
        cards: bindTrait(store, "_cards", readCards, signal),
        command: bindTrait(store, "command", readCommand, signal),
        theme: bindTrait(store, "theme", asTheme, signal),
      });
    },
    render({ el, signal }) {
      mountTraining(el, session, signal);
    },
  };
};
