"""What to change: features set to a value or a multiple of their own, and directions added to an MLP's output.

Axes: l layer, p position, f feature, d model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ct_widgets.errors import InterventionError
from ct_widgets.feature_name import FeatureName
from ct_widgets.graph import AttributionGraph, NodeId
from ct_widgets.graph.node_id import Supernode, as_node_id
from ct_widgets.transcoders import Transcoder


@dataclass(frozen=True, eq=False)
class Intervention:
    """One feature set to `value` or to `scale` times its own activation, or one direction added `value` times.

    position: a token's place, several of them, or None for all but the first (BOS). Negative ones count from the end.
    direction: [d], added to the MLP output of `layer`; it takes the place of `feature`.

    >>> Intervention(2, -1, 517, scale=-1)
    >>> Intervention(2, [3, 4], 517, value=4.0)
    >>> Intervention(1, None, direction=vector, value=2.0)
    """

    layer: int
    position: int | Sequence[int] | None
    feature: int | None = None
    scale: float | None = None
    value: float | None = None
    direction: Tensor | Sequence[float] | None = None

    def __post_init__(self) -> None:
        if (self.feature is None) == (self.direction is None):
            raise InterventionError("an intervention is on a `feature` or along a `direction`; give exactly one")
        if self.direction is not None and self.scale is not None:
            raise InterventionError("a direction has no activation to scale; pass `value` to say how much of it to add")
        if (self.scale is None) == (self.value is None) and self.direction is None:
            raise InterventionError("give one of `scale` (a multiple of the feature's own activation) and `value`")

    @staticmethod
    def each(
        nodes: Supernode | Iterable[Sequence[Any]],
        scale: float | None = None,
        value: float | None = None,
        *,
        position: int | Sequence[int] | None = None,
    ) -> list[Intervention]:
        """Change every feature of a supernode or a list of node ids alike, where they are or at `position`.

        >>> Intervention.each(graph.supernodes[0], scale=-1)
        """
        return [
            Intervention(node.layer, node.position if position is None else position, node.index, scale, value)
            for node in _features(nodes)
        ]

    @staticmethod
    def inject(
        graph: AttributionGraph,
        nodes: Supernode | Iterable[Sequence[Any]],
        scale: float = 1.0,
        *,
        position: int | Sequence[int] | None = None,
    ) -> list[Intervention]:
        """Set features to `scale` times what they are on another prompt, whose graph this is.

        >>> changes = Intervention.each(texas, scale=-1) + Intervention.inject(ohio_graph, ohio)
        >>> model.intervene("Fact: the capital of Texas is", changes)
        """
        return [
            Intervention(
                node.layer,
                node.position if position is None else position,
                node.index,
                value=scale * float(graph.activation[graph.row(node)]),
            )
            for node in _features(nodes)
        ]


def _features(nodes: Supernode | Iterable[Sequence[Any]]) -> Iterator[NodeId]:
    for node in nodes.members if isinstance(nodes, Supernode) else nodes:
        found = as_node_id(node)
        if found.kind != "feature":
            raise InterventionError(f"{found} is not a feature; only features have an activation to change")
        yield found


class Sets(NamedTuple):
    """Features of one layer that are set, [c]: their place and index, and value = factor * own activation + offset."""

    position: Tensor
    feature: Tensor
    factor: Tensor
    offset: Tensor


class AddedDirections(NamedTuple):
    """Vectors added to one layer's MLP output, [c, d], and where, [c]."""

    position: Tensor
    vector: Tensor


class Changes(NamedTuple):
    """Interventions on one prompt by layer, checked against model and prompt."""

    sets: dict[int, Sets]
    added: dict[int, AddedDirections]

    @property
    def layers(self) -> list[int]:
        """Layers where something is changed, in order."""
        return sorted({*self.sets, *self.added})

    @property
    def first_position(self) -> int:
        """The first position where something is changed."""
        return min(int(place.position.min()) for place in (*self.sets.values(), *self.added.values()))


def resolve(interventions: Iterable[Intervention], transcoder: Transcoder, n_positions: int) -> Changes:
    """Sort interventions by layer; raises InterventionError for what does not exist or is changed twice."""
    sets: dict[int, dict[tuple[int, int], tuple[float, float]]] = {}
    added: dict[int, list[tuple[int, Tensor]]] = {}
    for one in interventions:
        if not 0 <= one.layer < transcoder.n_layers:
            raise InterventionError(
                f"layer {one.layer} does not exist; there are layers 0 to {transcoder.n_layers - 1}"
            )
        for position in _positions(one, n_positions):
            if one.direction is not None:
                added.setdefault(one.layer, []).append((position, _direction(one, transcoder)))
                continue
            feature = int(one.feature or 0)
            name = FeatureName(one.layer, feature)
            if not 0 <= feature < transcoder.n_features(one.layer):
                highest = transcoder.n_features(one.layer) - 1
                raise InterventionError(f"{name} does not exist; the layer has features 0 to {highest}")
            here = sets.setdefault(one.layer, {})
            if (position, feature) in here:
                raise InterventionError(f"{name} at position {position} is changed twice; list it once")
            here[position, feature] = (float(one.scale or 0.0), float(one.value or 0.0))
    device = transcoder.device
    return Changes(
        {
            layer: Sets(
                torch.tensor([position for position, _ in here], device=device),
                torch.tensor([feature for _, feature in here], device=device),
                torch.tensor([factor for factor, _ in here.values()], device=device),
                torch.tensor([offset for _, offset in here.values()], device=device),
            )
            for layer, here in sets.items()
        },
        {
            layer: AddedDirections(
                torch.tensor([position for position, _ in here], device=device), torch.stack([v for _, v in here])
            )
            for layer, here in added.items()
        },
    )


def _positions(one: Intervention, n_positions: int) -> list[int]:
    if one.position is None:
        return list(range(1, n_positions))
    asked = [one.position] if isinstance(one.position, int) else [int(position) for position in one.position]
    for position in asked:
        if not -n_positions <= position < n_positions:
            raise InterventionError(f"position {position} does not exist; the prompt has {n_positions} tokens")
    return [position % n_positions for position in asked]


def _direction(one: Intervention, transcoder: Transcoder) -> Tensor:
    vector = torch.as_tensor(one.direction, dtype=torch.float32, device=transcoder.device)
    if vector.shape != (transcoder.d_model,):
        raise InterventionError(f"a direction has shape ({transcoder.d_model},), not {tuple(vector.shape)}")
    return vector * (1.0 if one.value is None else one.value)
