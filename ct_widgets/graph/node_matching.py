"""Which nodes of two graphs correspond: the same kind, layer and index, at the same position counted from the end.

Prompts that are compared mostly differ in the middle or at the start and end alike, so positions count from the end.
What then has no partner may still find one: the same feature or token at another position.

Axes: n nodes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from ct_widgets.graph.data import GraphData
from ct_widgets.graph.node_id import KIND_NAMES, NodeId

if TYPE_CHECKING:
    import pandas as pd


class Pair(NamedTuple):
    """Rows of two corresponding nodes, in the first and in the second graph."""

    a: int
    b: int
    moved: bool
    """Whether they stand at different positions from the end."""


def match_nodes(a: GraphData, b: GraphData, same_features: bool | None = None) -> tuple[Pair, ...]:
    """Pairs of corresponding nodes, each node in one at most, by their rows in `a`.

    same_features: whether a feature's number means the same feature in both; by default if neither graph says that it
    was made with another transcoder than the other.
    """
    if same_features is None:
        same_features = a.provenance.get("transcoder") == b.provenance.get("transcoder")
    kinds = [kind for kind in KIND_NAMES if same_features or kind not in ("feature", "other")]
    place_a, place_b = _places(a, kinds), _places(b, kinds)
    here = _matches(place_a, place_b)
    taken_a, taken_b = {row for row, _ in here}, {row for _, row in here}
    left_a = {row: name for row, (name, _) in place_a.items() if row not in taken_a}
    left_b = {row: name for row, (name, _) in place_b.items() if row not in taken_b}
    elsewhere = _matches(_last_first(left_a), _last_first(left_b))
    return tuple(sorted([Pair(*rows, False) for rows in here] + [Pair(*rows, True) for rows in elsewhere]))


def matching_table(a: GraphData, b: GraphData, pairs: Iterable[Pair]) -> pd.DataFrame:
    """One row per pair and per node without partner, the most influential first.

    kind, layer, index, label; `found`: "both", "moved" (in both, at other positions), "a" or "b" (only there); and for
    either graph row, position, token, activation and influence, missing where the node is.
    """
    import pandas as pd

    pairs = tuple(pairs)
    only_a, only_b = unmatched(a, b, pairs)
    matched: list[tuple[str, int | None, int | None]] = [
        *(("moved" if pair.moved else "both", pair.a, pair.b) for pair in pairs),
        *(("a", row, None) for row in only_a),
        *(("b", None, row) for row in only_b),
    ]
    table = pd.DataFrame([_record(a, b, *match) for match in matched])
    for column in ("row_a", "row_b", "position_a", "position_b"):
        table[column] = table[column].astype("Int64")
    strongest = table[["influence_a", "influence_b"]].max(axis=1)
    return table.iloc[np.argsort(-strongest.to_numpy(), kind="stable")].reset_index(drop=True)


def unmatched(a: GraphData, b: GraphData, pairs: Iterable[Pair]) -> tuple[list[int], list[int]]:
    """Rows of the nodes without a partner, in either graph."""
    pairs = tuple(pairs)
    in_a, in_b = {pair.a for pair in pairs}, {pair.b for pair in pairs}
    return [row for row in range(a.n_nodes) if row not in in_a], [row for row in range(b.n_nodes) if row not in in_b]


_Name = tuple[str, int | None, int]
"""Kind, layer and index: who a node is, wherever it stands."""


def _places(graph: GraphData, kinds: list[str]) -> dict[int, tuple[_Name, int]]:
    """Name of every node of the kinds, and its position from the end, by row."""
    last = len(graph.tokens) - 1
    return {row: (_name(node), last - node.position) for row, node in enumerate(graph.node_ids) if node.kind in kinds}


def _name(node: NodeId) -> _Name:
    """Logits are the same whatever the number of layers below them."""
    return (node.kind, None if node.kind == "logit" else node.layer, node.index)


def _last_first(names: dict[int, _Name]) -> dict[int, _Name]:
    """From the end backwards, so that of several the ones nearest to the answer correspond; errors have no name."""
    return {row: names[row] for row in sorted(names, reverse=True) if names[row][0] != "error"}


def _matches(a: Mapping[int, Hashable], b: Mapping[int, Hashable]) -> list[tuple[int, int]]:
    """Rows of equal value, each at most once, paired in the order given."""
    waiting: dict[Hashable, list[int]] = defaultdict(list)
    for row, value in reversed(list(b.items())):
        waiting[value].append(row)
    return [(row, waiting[value].pop()) for row, value in a.items() if waiting.get(value)]


def _record(a: GraphData, b: GraphData, found: str, row_a: int | None, row_b: int | None) -> dict[str, Any]:
    some, row = (a, row_a) if row_a is not None else (b, cast("int", row_b))
    kind, layer, _, index = some.node_ids[row]
    label = some.label(row) or (b.label(row_b) if row_b is not None else "")
    record: dict[str, Any] = {"kind": kind, "layer": layer, "index": index, "label": label, "found": found}
    for side, graph, place in (("a", a, row_a), ("b", b, row_b)):
        there = place is not None
        record |= {
            f"row_{side}": place,
            f"position_{side}": int(graph.position[place]) if there else None,
            f"token_{side}": graph.token(place) if there else None,
            f"activation_{side}": float(graph.activation[place]) if there else math.nan,
            f"influence_{side}": float(graph.influence[place]) if there else math.nan,
        }
    return record
