/** TrainingWidget in a notebook: one session per widget model, one view per place that shows it. */

import type { AnyWidget } from "@anywidget/types";
import { readTrait } from "../core/session";
import { readCards, readCharts, readCommand, readRun } from "../core/training";
import { TrainingSession } from "../core/training_session";
import { modelStore } from "../host/anywidget";
import { bindTrait } from "../host/traits";
import { mountTraining } from "../ui/training_view";
import "../ui/theme.css";
import "../ui/examples.css";
import "../ui/training.css";

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
        theme: bindTrait(store, "theme", readTrait.theme, signal),
      });
    },
    render({ el, signal }) {
      mountTraining(el, session, signal);
    },
  };
};
