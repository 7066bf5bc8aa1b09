"""The state of a graph view: which traits it has, how it starts for a graph, and its JSON form."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypedDict

import numpy as np

from ct_widgets.errors import WidgetError
from ct_widgets.graph import AttributionGraph, NodeId, Supernode
from ct_widgets.graph.node_id import LabelKey
from ct_widgets.graph.suggest import Suggestion

NodeLike = NodeId | tuple[str, int, int, int] | int
"""A node as a NodeId, as a tuple (kind, layer, position, index), or as a row number of `graph.nodes`."""
SupernodeLike = Supernode | tuple[str, Iterable[NodeLike]]
"""A named group of nodes."""
PlacesLike = Mapping[NodeLike, Sequence[float]]
"""Places (part of the width, pixels from the top) by node."""


class Snapshot(NamedTuple):
    """The subgraph as it was when it was kept under a name."""

    pinned: tuple[NodeId, ...] = ()
    supernodes: tuple[Supernode, ...] = ()
    places: Mapping[NodeId, tuple[float, float]] = MappingProxyType({})
    """Where its boxes were put."""


class GraphState(TypedDict, total=False):
    """Keywords of a GraphWidget, which are its traits: each is explained there."""

    selected: NodeLike | None
    hovered: NodeLike | None
    pinned: Iterable[NodeLike]
    supernodes: Iterable[SupernodeLike]
    places: PlacesLike
    snapshots: Mapping[str, Snapshot | tuple[Iterable[NodeLike], Iterable[SupernodeLike], PlacesLike]]
    path_ends: Iterable[NodeLike]
    suggestions: Iterable[Suggestion | tuple[str, Iterable[NodeLike], str]] | None
    labels: Mapping[LabelKey, str]
    node_threshold: float
    edge_threshold: float
    unmatched: Iterable[NodeLike]
    theme: Literal["auto", "light", "dark"]
    panels: Iterable[Any]


VIEW_STATE = tuple(name for name in GraphState.__annotations__ if name != "panels")
"""Names of the traits that a page keeps; other widgets stay behind."""

DEFAULT_NODE_THRESHOLD = 0.8
DEFAULT_EDGE_THRESHOLD = 0.98


def initial_state(graph: AttributionGraph) -> dict[str, Any]:
    """Choose what a new view of `graph` starts with."""
    # A graph that was pruned before is what its maker wanted to see: nothing more is hidden.
    was_pruned = graph.cumulative is not None
    return {
        "pinned": graph.pinned,
        "supernodes": graph.supernodes,
        "labels": dict(graph.labels),
        "node_threshold": 1.0 if was_pruned else DEFAULT_NODE_THRESHOLD,
        "edge_threshold": 1.0 if was_pruned else DEFAULT_EDGE_THRESHOLD,
    }


def rows_that_fit(graph: AttributionGraph, query: str) -> list[int]:
    """List the rows of the nodes that fit a pandas query over `graph.nodes`; WidgetError if pandas cannot read it."""
    nodes = graph.nodes
    try:
        return np.flatnonzero(np.broadcast_to(np.asarray(nodes.eval(query), dtype=np.bool_), len(nodes))).tolist()
    except Exception as error:  # pandas passes on whatever evaluating the text raises
        raise WidgetError(f"{query!r} is not a valid query: {error}; columns are {', '.join(nodes.columns)}") from error


def initial_json(graph: AttributionGraph) -> dict[str, Any]:
    """Write `initial_state` as the browser reads it."""
    state = initial_state(graph)
    return {**state, "labels": labels_to_json(state["labels"])}


def labels_to_json(labels: Mapping[LabelKey, str]) -> dict[str, str]:
    """Write labels with text as keys."""
    return {_key_to_json(key): text for key, text in labels.items()}


def places_to_json(places: Mapping[NodeId, tuple[float, float]]) -> dict[str, list[float]]:
    """Write places with text as keys."""
    return {_key_to_json(key): list(place) for key, place in places.items()}


def keys_from_json(values: Mapping[str, Any]) -> dict[Any, Any]:
    """Read what `labels_to_json` or `places_to_json` wrote."""
    return {tuple(json.loads(key)) if key.startswith("[") else key: value for key, value in values.items()}


def snapshots_to_json(snapshots: Mapping[str, Snapshot]) -> dict[str, Any]:
    """Write snapshots as objects."""
    return {name: {**kept._asdict(), "places": places_to_json(kept.places)} for name, kept in snapshots.items()}


def snapshots_from_json(snapshots: Mapping[str, Any]) -> dict[str, Any]:
    """Read what `snapshots_to_json` wrote."""
    return {
        name: (kept["pinned"], kept["supernodes"], keys_from_json(kept["places"])) for name, kept in snapshots.items()
    }


def suggestions_to_json(suggestions: Iterable[Suggestion] | None) -> list[dict[str, Any]] | None:
    """Write suggestions as objects."""
    return None if suggestions is None else [suggestion._asdict() for suggestion in suggestions]


def suggestions_from_json(suggestions: Iterable[Mapping[str, Any]] | None) -> list[Any] | None:
    """Read what `suggestions_to_json` wrote."""
    return None if suggestions is None else [(one["name"], one["nodes"], one["reason"]) for one in suggestions]


def _key_to_json(key: LabelKey) -> str:
    """Leave features as they are, and write nodes as JSON.stringify writes their ids in the browser."""
    return json.dumps(list(key), separators=(",", ":")) if isinstance(key, NodeId) else key
