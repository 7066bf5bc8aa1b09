/** The traits of GraphWidget, by the names that `ct_widgets/widgets/graph_widget.py` gives them. */

import { readTrait, type Synced } from "../core/session";
import { bindTrait, type TraitStore } from "./traits";

export function bindGraph(store: TraitStore, abort: AbortSignal): Synced {
  return {
    selected: bindTrait(store, "selected", readTrait.node, abort),
    hovered: bindTrait(store, "hovered", readTrait.node, abort),
    pinned: bindTrait(store, "pinned", readTrait.nodes, abort),
    supernodes: bindTrait(store, "supernodes", readTrait.supernodes, abort),
    labels: bindTrait(store, "labels", readTrait.labels, abort),
    places: bindTrait(store, "places", readTrait.places, abort),
    snapshots: bindTrait(store, "snapshots", readTrait.snapshots, abort),
    nodeThreshold: bindTrait(store, "node_threshold", readTrait.share, abort),
    edgeThreshold: bindTrait(store, "edge_threshold", readTrait.share, abort),
    pathEnds: bindTrait(store, "path_ends", readTrait.nodes, abort),
    suggestions: bindTrait(store, "suggestions", readTrait.suggestions, abort),
    panels: bindTrait(store, "panels", readTrait.texts, abort),
    unmatched: bindTrait(store, "unmatched", readTrait.nodes, abort),
    theme: bindTrait(store, "theme", readTrait.theme, abort),
  };
}
