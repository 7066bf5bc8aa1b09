/** PerturbationWidget in a notebook: one session per widget model, one view per place that shows it. */

import type { AnyWidget } from "@anywidget/types";
import type { PerturbationSession } from "../core/perturbation_session";
import { modelStore } from "../host/anywidget";
import { openSession } from "../ui/perturbation_traits";
import { mountPerturbation, mountPerturbationError } from "../ui/perturbation_view";
import "../ui/theme.css";
import "../ui/perturbation.css";

export default (): ReturnType<Extract<AnyWidget, () => unknown>> => {
  let session: PerturbationSession | Error;
  return {
    initialize({ model, signal }) {
      try {
        session = openSession(modelStore(model), signal);
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
