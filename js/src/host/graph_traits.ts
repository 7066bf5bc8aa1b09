/** The traits of GraphWidget, by the names that `ct_widgets/widgets/graph_widget.py` gives them. */

import type { Signal } from "@preact/signals-core";
import { decodeColumns } from "../core/columns";
import { asNodeId, readGraph } from "../core/graph/graph";
import { Session } from "../core/graph_widget/session";
import {
  asNodeIds,
  readLabels,
  readPlaces,
  readSnapshots,
  readSuggestions,
  readSupernodes,
  type Synced,
} from "../core/graph_widget/traits";
import { asShare, asTexts, asTheme } from "../core/read_trait";
import { bindTrait, reportError, type TraitStore } from "../core/traits";

/** The session of a widget; `ask` asks Python for suggestions. Throws for data that cannot be shown. */
export function openGraph(store: TraitStore, abort: AbortSignal, ask: (() => void) | null = null): Session {
  const graph = readGraph(decodeColumns(store.get("_columns") as Uint8Array));
  return new Session(graph, bindGraph(store, abort), ask, (message) => reportError(store, message));
}

export function bindGraph(store: TraitStore, abort: AbortSignal): Synced {
  const bind = <T>(name: string, read: (value: unknown) => T): Signal<T> => bindTrait(store, name, read, abort);
  return {
    selected: bind("selected", asNodeId),
    hovered: bind("hovered", asNodeId),
    pinned: bind("pinned", asNodeIds),
    supernodes: bind("supernodes", readSupernodes),
    labels: bind("labels", readLabels),
    places: bind("places", readPlaces),
    snapshots: bind("snapshots", readSnapshots),
    nodeThreshold: bind("node_threshold", asShare),
    edgeThreshold: bind("edge_threshold", asShare),
    pathEnds: bind("path_ends", asNodeIds),
    suggestions: bind("suggestions", readSuggestions),
    panels: bind("panels", asTexts),
    unmatched: bind("unmatched", asNodeIds),
    theme: bind("theme", asTheme),
  };
}
