/** The traits of PerturbationWidget, by the names that `ct_widgets/widgets/perturbation_widget.py` gives them. */

import { decodeColumns } from "../core/columns";
import { readGraph } from "../core/graph";
import { readAnswer, readBoxes, readCurve } from "../core/perturbation";
import { Grid } from "../core/perturbation_grid";
import { PerturbationSession } from "../core/perturbation_session";
import { readTrait } from "../core/session";
import { readStrengths } from "../core/strength";
import { bindTrait, type TraitStore } from "../host/traits";

/** Throws for data that cannot be shown. */
export function openSession(store: TraitStore, abort: AbortSignal): PerturbationSession {
  const graph = readGraph(decodeColumns(store.get("_columns") as Uint8Array));
  const boxes = readBoxes(graph, store.get("_boxes"));
  const text = (value: unknown): string => (typeof value === "string" ? value : "");
  const synced = {
    strengths: bindTrait(store, "strengths", readStrengths, abort),
    active: bindTrait(store, "active", (value) => text(value) || null, abort),
    method: bindTrait(store, "method", text, abort),
    lastLayer: bindTrait(store, "last_layer", (value) => (Number.isInteger(value) ? (value as number) : null), abort),
    freezeAttention: bindTrait(
      store,
      "freeze_attention",
      (value) => (typeof value === "boolean" ? value : null),
      abort,
    ),
    theme: bindTrait(store, "theme", readTrait.theme, abort),
    answer: bindTrait(store, "_answer", readAnswer, abort),
    curve: bindTrait(store, "_sweep", readCurve, abort),
    error: bindTrait(store, "error", text, abort),
  };
  const grid = store.get("_grid");
  return new PerturbationSession(graph, boxes, synced, grid ? new Grid(grid as Record<string, unknown>) : null);
}
