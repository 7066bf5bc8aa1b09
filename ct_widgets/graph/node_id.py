"""Who a node is: its kind, layer, position and index."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ct_widgets.errors import FeatureError, GraphError
from ct_widgets.feature_name import FeatureName

KINDS = ("embedding", "feature", "error", "logit")
"""Kinds of node; their places here are the codes in the `kind` column."""

EMBEDDING, FEATURE, ERROR, LOGIT, OTHER = range(5)
"""Codes of the `kind` column. OTHER marks kinds that only foreign files have, such as attention features."""

KIND_NAMES = (*KINDS, "other")
NO_INDEX = -1
"""The `index` of an error node, of which there is one per layer and position."""


class NodeId(NamedTuple):
    """The name of a node inside one graph, readable as `(kind, layer, position, index)`.

    `layer` is -1 for embeddings and the number of layers for logits. `index` is the feature's index in its layer,
    the vocabulary id of an embedding or a logit, and -1 for an error node.
    """

    kind: str
    layer: int
    position: int
    index: int  # pyright: ignore[reportIncompatibleMethodOverride]  (the field's own name; nobody searches a NodeId)

    def __str__(self) -> str:
        match self.kind:
            case "feature":
                return f"{FeatureName(self.layer, self.index)} @{self.position}"
            case "error":
                return f"error L{self.layer} @{self.position}"
            case _:
                return f"{self.kind} {self.index} @{self.position}"


def as_node_id(value: Sequence[Any]) -> NodeId:
    """`value` as a NodeId; accepts any sequence `(kind, layer, position, index)`, so also what JSON gives back."""
    try:
        kind, layer, position, index = value
        node = NodeId(str(kind), int(layer), int(position), int(index))
    except (TypeError, ValueError) as error:
        raise GraphError(
            f"{value!r} is not a node id: expected (kind, layer, position, index), e.g. ('feature', 2, 5, 517)"
        ) from error
    if node.kind not in KIND_NAMES:
        raise GraphError(f"{node.kind!r} is not a kind of node: expected one of {', '.join(KIND_NAMES)}")
    return node


def sort_key(node: NodeId, probability: float) -> tuple[int, int, int, float, int]:
    """Key of the one order of nodes in our graphs: topological, with logits by falling probability."""
    falling = -probability if node.kind == "logit" else 0.0
    return (node.layer, KIND_NAMES.index(node.kind), node.position, falling, node.index)


class Supernode(NamedTuple):
    """A named group of nodes that a person reads as one."""

    name: str
    members: tuple[NodeId, ...]


def as_supernodes(value: Iterable[Sequence[Any]]) -> tuple[Supernode, ...]:
    """`value` as Supernodes; accepts any sequence of (name, members), so also what JSON gives back."""
    groups: list[Supernode] = []
    for group in value:
        try:
            name, members = group
        except (TypeError, ValueError) as error:
            raise GraphError(f"{group!r} is not a supernode: expected (name, [node id, ...])") from error
        groups.append(Supernode(str(name), tuple(as_node_id(member) for member in members)))
    return tuple(groups)


LabelKey = NodeId | str
"""A label is for one node or, as "L{layer}/{index}" a feature wherever it is active."""


def as_label_key(value: str | Sequence[Any]) -> LabelKey:
    """`value` as the key of a label: a node id, or a string such as "L2/517"."""
    if not isinstance(value, str):
        return as_node_id(value)
    try:
        return str(FeatureName.parse(value))
    except FeatureError as error:
        raise GraphError(
            f'a label cannot be for {value!r}: expected a node id, or a feature such as "L2/517"'
        ) from error
