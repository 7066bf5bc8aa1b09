/** The traits of PerturbationWidget, by the names that `ct_widgets/widgets/perturbation_widget.py` gives them. */

import type { Signal } from "@preact/signals-core";
import { decodeColumns } from "../core/columns";
import { readGraph } from "../core/graph/graph";
import { Grid } from "../core/perturbation/grid";
import { readAnswer, readBoxes, readCurve } from "../core/perturbation/perturbation";
import { PerturbationSession } from "../core/perturbation/session";
import { readStrengths } from "../core/perturbation/strength";
import { asFlagOrNull, asIntegerOrNull, asText, asTheme } from "../core/read_trait";
import { bindTrait, type TraitStore } from "../core/traits";

/** The session of a widget; in an exported page with the answers that it carries. Throws for data that cannot be shown. */
export function openPerturbation(store: TraitStore, abort: AbortSignal): PerturbationSession {
  const bind = <T>(name: string, read: (value: unknown) => T): Signal<T> => bindTrait(store, name, read, abort);
  const graph = readGraph(decodeColumns(store.get("_columns") as Uint8Array));
  const synced = {
    strengths: bind("strengths", readStrengths),
    active: bind("active", (value) => asText(value) || null),
    method: bind("method", asText),
    lastLayer: bind("last_layer", asIntegerOrNull),
    freezeAttention: bind("freeze_attention", asFlagOrNull),
    theme: bind("theme", asTheme),
    answer: bind("_answer", readAnswer),
    curve: bind("_sweep", readCurve),
    error: bind("error", asText),
  };
  const grid = store.get("_grid");
  const boxes = readBoxes(graph, store.get("_boxes"));
  return new PerturbationSession(graph, boxes, synced, grid ? new Grid(grid as Record<string, unknown>) : null);
}
