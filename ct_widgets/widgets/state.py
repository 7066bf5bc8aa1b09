"""The state of a graph view: which traits it has, how it starts for a graph, and its JSON form."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from ct_widgets.graph import AttributionGraph, NodeId, Supernode
from ct_widgets.graph.node_id import LabelKey

VIEW_STATE = (
    "selected",
    "hovered",
    "pinned",
    "supernodes",
    "places",
    "snapshots",
    "path_ends",
    "suggestions",
    "labels",
    "node_threshold",
    "edge_threshold",
    "unmatched",
    "theme",
)
"""Names of the traits that hold it."""


class Snapshot(NamedTuple):
    """The subgraph as it was when it was kept under a name."""

    pinned: tuple[NodeId, ...] = ()
    supernodes: tuple[Supernode, ...] = ()
    places: Mapping[NodeId, tuple[float, float]] = MappingProxyType({})
    """Where its boxes were put."""


DEFAULT_NODE_THRESHOLD = 0.8
DEFAULT_EDGE_THRESHOLD = 0.98


def initial_state(graph: AttributionGraph) -> dict[str, Any]:
    """What a new view of `graph` starts with."""
    # A graph that was pruned before is what its maker wanted to see: nothing more is hidden.
    was_pruned = graph.cumulative is not None
    return {
        "pinned": graph.pinned,
        "supernodes": graph.supernodes,
        "labels": dict(graph.labels),
        "node_threshold": 1.0 if was_pruned else DEFAULT_NODE_THRESHOLD,
        "edge_threshold": 1.0 if was_pruned else DEFAULT_EDGE_THRESHOLD,
    }


def initial_json(graph: AttributionGraph) -> dict[str, Any]:
    """`initial_state` as the browser reads it."""
    state = initial_state(graph)
    return {**state, "labels": labels_to_json(state["labels"])}


def labels_to_json(labels: Mapping[LabelKey, str]) -> dict[str, str]:
    """Labels with text as keys."""
    return {_key_to_json(key): text for key, text in labels.items()}


def labels_from_json(labels: Mapping[str, str]) -> dict[Any, str]:
    """The reverse of `labels_to_json`."""
    return {_key_from_json(key): text for key, text in labels.items()}


def places_to_json(places: Mapping[NodeId, tuple[float, float]]) -> dict[str, list[float]]:
    """Places with text as keys."""
    return {_key_to_json(key): list(place) for key, place in places.items()}


def places_from_json(places: Mapping[str, Sequence[float]]) -> dict[Any, Any]:
    """The reverse of `places_to_json`."""
    return {_key_from_json(key): place for key, place in places.items()}


def snapshots_to_json(snapshots: Mapping[str, Snapshot]) -> dict[str, Any]:
    """Snapshots as objects."""
    return {name: {**kept._asdict(), "places": places_to_json(kept.places)} for name, kept in snapshots.items()}


def snapshots_from_json(snapshots: Mapping[str, Any]) -> dict[str, Any]:
    """The reverse of `snapshots_to_json`."""
    return {
        name: (kept["pinned"], kept["supernodes"], places_from_json(kept["places"])) for name, kept in snapshots.items()
    }


def _key_to_json(key: LabelKey) -> str:
    """Features as they are, nodes as JSON.stringify writes their ids in the browser."""
    return json.dumps(list(key), separators=(",", ":")) if isinstance(key, NodeId) else key


def _key_from_json(key: str) -> Any:
    return tuple(json.loads(key)) if key.startswith("[") else key
