/** The traits of GraphWidget, by the names that `ct_widgets/widgets/graph_widget.py` gives them. */

import { readTrait, type Synced } from "../core/session";
import type { Signal } from "../core/signals";
import { bindTrait, type TraitStore } from "./traits";

export function bindGraph(store: TraitStore, abort: AbortSignal): Synced {
  const bind = <T>(name: string, read: (value: unknown) => T): Signal<T> => bindTrait(store, name, read, abort);
  return {
    selected: bind("selected", readTrait.node),
    hovered: bind("hovered", readTrait.node),
    pinned: bind("pinned", readTrait.nodes),
    supernodes: bind("supernodes", readTrait.supernodes),
    labels: bind("labels", readTrait.labels),
    places: bind("places", readTrait.places),
    snapshots: bind("snapshots", readTrait.snapshots),
    nodeThreshold: bind("node_threshold", readTrait.share),
    edgeThreshold: bind("edge_threshold", readTrait.share),
    pathEnds: bind("path_ends", readTrait.nodes),
    suggestions: bind("suggestions", readTrait.suggestions),
    panels: bind("panels", readTrait.texts),
    unmatched: bind("unmatched", readTrait.nodes),
    theme: bind("theme", readTrait.theme),
  };
}
