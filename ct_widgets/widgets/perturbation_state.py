"""Boxes of a graph in a perturbation view, and the traits that hold strengths and settings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypedDict, cast

import numpy as np

from ct_widgets.errors import WidgetError
from ct_widgets.graph import AttributionGraph, NodeId
from ct_widgets.graph.subgraph import boxes as graph_boxes
from ct_widgets.widgets.traits import JsonTrait

MOST_STRONGEST = 8
MOST_LOGITS = 4
MOST_TOKENS = 16


class PerturbationState(TypedDict, total=False):
    """Keywords of a PerturbationWidget, which are its traits: each is explained there."""

    strengths: Mapping[str, float]
    active: str | None
    method: Literal["constrained", "iterative", "open"]
    last_layer: int | None
    freeze_attention: bool | None
    theme: Literal["auto", "light", "dark"]


class Box(NamedTuple):
    """Nodes of the graph that are drawn as one, under a name of their own; features among them can be changed."""

    name: str
    nodes: tuple[NodeId, ...]

    @property
    def features(self) -> tuple[NodeId, ...]:
        """Its features."""
        return tuple(node for node in self.nodes if node.kind == "feature")


def boxes_of(graph: AttributionGraph, supernodes: Iterable[Sequence[Any]] | None = None) -> tuple[Box, ...]:
    """Choose the boxes: supernodes and pinned nodes, by default the strongest features; then outputs and tokens.

    Names that stand twice get a number. Raises GraphError for nodes that are not in the graph.
    """
    if supernodes is not None:
        graph = graph.annotated(supernodes=supernodes, pinned=())
    found = [(name, tuple(graph.node_ids[row] for row in rows)) for name, rows in graph_boxes(graph)]
    if not any(node.kind == "feature" for _, nodes in found for node in nodes):
        features = np.flatnonzero(graph.is_kind("feature"))
        strongest = features[np.argsort(-graph.influence[features], kind="stable")][:MOST_STRONGEST]
        found += [(_name(graph, graph.node_ids[row]), (graph.node_ids[row],)) for row in strongest.tolist()]
    shown = {node for _, nodes in found for node in nodes}
    around = [
        *np.flatnonzero(graph.is_kind("logit"))[:MOST_LOGITS].tolist(),
        *np.flatnonzero(graph.is_kind("embedding"))[1 : 1 + MOST_TOKENS].tolist(),
    ]
    found += [(_name(graph, node), (node,)) for node in map(graph.node_ids.__getitem__, around) if node not in shown]
    names: dict[str, int] = {}
    result: list[Box] = []
    for name, nodes in found:
        names[name] = names.get(name, 0) + 1
        result.append(Box(name if names[name] == 1 else f"{name} ({names[name]})", nodes))
    return tuple(result)


def _name(graph: AttributionGraph, node: NodeId) -> str:
    if node.kind in ("logit", "embedding"):
        return f"{node.kind} {graph.token(node)}"
    return graph.label(node) or str(node)


class Strengths(JsonTrait[Mapping[str, float], Mapping[str, float]]):
    """Strengths by name of a box: 1 is the model's own, 0 none, -1 the opposite; others keep theirs."""

    def __init__(self) -> None:
        # The answer says which strengths it is for; an echo before it would only keep it waiting.
        super().__init__({}, echo_update=False)

    def validate(self, obj: Any, value: Mapping[str, float]) -> Mapping[str, float]:
        """Return `value` as finite numbers by names of boxes that hold features."""
        if not isinstance(cast("Any", value), Mapping):
            raise WidgetError(f'{self.name}: expected a mapping such as {{"sum = _5": -1}}, not {value!r}')
        known: Mapping[str, Any] = obj.adjustable
        strengths: dict[str, float] = {}
        for name, strength in value.items():
            if name not in known:
                raise WidgetError(f"{self.name}: there is no box {name!r} with features; there are {list(known)}")
            try:
                strengths[name] = float(strength)
            except (TypeError, ValueError) as error:
                raise WidgetError(f"{self.name}: {strength!r} is not a number (box {name!r})") from error
            if not math.isfinite(strengths[name]):
                raise WidgetError(f"{self.name}: {strength!r} is not finite (box {name!r})")
        return strengths


class LastLayer(JsonTrait[int | None, int | None]):
    """The last layer of the range, or None for the default."""

    def validate(self, obj: Any, value: int | None) -> int | None:
        """Return `value` if it is a layer of the model."""
        layers: int = obj.graph.n_layers
        if value is not None and not 0 <= int(value) < layers:
            raise WidgetError(f"{self.name} is {value}; it is a layer from 0 to {layers - 1}, or None")
        return None if value is None else int(value)


class ActiveBox(JsonTrait[str | None, str | None]):
    """The box whose strength is swept, or None."""

    def validate(self, obj: Any, value: str | None) -> str | None:
        """Return `value` if it is a box with features."""
        if value is not None and value not in obj.adjustable:
            raise WidgetError(f"{self.name}: there is no box {value!r} with features; there are {list(obj.adjustable)}")
        return value
