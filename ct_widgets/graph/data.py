"""An attribution graph as plain immutable data: checked when it is made, asked by row, node or name.

Axes: n nodes in topological order, e edges, p prompt positions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ct_widgets.errors import GraphError
from ct_widgets.feature_name import FeatureName
from ct_widgets.graph.adjacency import Adjacency, Bool, Float32, Float64, read_only, row_sums
from ct_widgets.graph.checks import check, check_adjacency
from ct_widgets.graph.influence import influence
from ct_widgets.graph.node_id import (
    EMBEDDING,
    FEATURE,
    KIND_NAMES,
    LOGIT,
    NodeId,
    as_label_key,
    as_node_id,
    as_supernodes,
)
from ct_widgets.graph.pruning import cumulative_share
from ct_widgets.graph.schema import ARRAYS, EDGE_ARRAYS, OPTIONAL, Columns


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class GraphData(Columns):
    """Columns that fit together, checked once when they are joined, and what follows from them alone."""

    def __post_init__(self) -> None:
        check(self)
        for node in (*self.pinned, *(member for group in self.supernodes for member in group.members)):
            self.row(node)  # marks are for nodes of the graph

    @classmethod
    def from_columns(
        cls,
        *,
        prompt: str,
        tokens: Iterable[str],
        n_layers: int,
        node_token: Iterable[str],
        provenance: Mapping[str, Any],
        labels: Mapping[Any, str] | None = None,
        supernodes: Iterable[Sequence[Any]] = (),
        pinned: Iterable[Sequence[Any]] = (),
        **arrays: npt.ArrayLike | None,
    ) -> Self:
        """Make a graph from its columns; `arrays` are those of `schema` and the edges' indptr, source and weight.

        row_total is by default what the edges add up to. Raises GraphError where columns are missing, unknown or do
        not fit together.
        """
        row_total = arrays.pop("row_total", None)
        needed = ARRAYS.keys() - {"row_total", *OPTIONAL}
        for wrong, what in ((needed - arrays.keys(), "missing"), (arrays.keys() - ARRAYS.keys(), "unknown")):
            if wrong:
                raise GraphError(f"{what} columns: {', '.join(sorted(wrong))}; a graph has {', '.join(ARRAYS)}")
        read: dict[str, Any] = {"cumulative": None}
        read |= {name: _column(name, array, ARRAYS[name]) for name, array in arrays.items() if array is not None}
        adjacency = Adjacency(**{name: read.pop(name) for name in EDGE_ARRAYS})
        if row_total is None:
            check_adjacency(adjacency)
            row_total = row_sums(adjacency.indptr, np.abs(adjacency.weight))
        return cls(
            prompt=prompt,
            tokens=tuple(tokens),
            n_layers=int(n_layers),
            node_token=tuple(node_token),
            adjacency=adjacency,
            row_total=_column("row_total", row_total, ARRAYS["row_total"]),
            labels=MappingProxyType({as_label_key(key): str(text) for key, text in (labels or {}).items()}),
            supernodes=as_supernodes(supernodes),
            pinned=tuple(as_node_id(node) for node in pinned),
            provenance=MappingProxyType(dict(provenance)),
            **read,
        )

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.kind)

    @property
    def n_edges(self) -> int:
        """Number of edges."""
        return len(self.source)

    def is_kind(self, *names: str) -> Bool:
        """Which nodes are of the kinds named, [n]."""
        unknown = [name for name in names if name not in KIND_NAMES]
        if unknown:
            raise GraphError(f"{unknown[0]!r} is not a kind of node: expected one of {', '.join(KIND_NAMES)}")
        return np.isin(self.kind, [KIND_NAMES.index(name) for name in names])

    @property
    def output_weight(self) -> Float64:
        """p, the probability at each logit and 0 elsewhere, [n]."""
        return np.where(self.kind == LOGIT, self.probability, 0.0).astype(np.float64)

    @cached_property
    def influence(self) -> Float32:
        """Influence of every node on the output, over all paths to the logits, weighted by their probability, [n]."""
        return read_only(influence(self.adjacency, self.row_total, self.output_weight).astype(np.float32))

    @cached_property
    def cumulative_influence(self) -> Float32:
        """Share of all influence that each node and all stronger ones hold, in the graph before any pruning, [n]."""
        if self.cumulative is not None:
            return self.cumulative
        return read_only(cumulative_share(self.influence))

    @cached_property
    def node_ids(self) -> tuple[NodeId, ...]:
        """The id of every node, in row order."""
        columns = (self.kind.tolist(), self.layer.tolist(), self.position.tolist(), self.index.tolist())
        return tuple(
            NodeId(KIND_NAMES[kind], layer, position, index)
            for kind, layer, position, index in zip(*columns, strict=True)
        )

    @cached_property
    def _rows(self) -> dict[NodeId, int]:
        return {node: row for row, node in enumerate(self.node_ids)}

    def row(self, node: int | Sequence[Any]) -> int:
        """Row number of a node given as a NodeId, as a tuple (kind, layer, position, index), or as a row number."""
        if isinstance(node, int | np.integer):
            if not 0 <= node < self.n_nodes:
                raise GraphError(f"row {node} does not exist: the graph has rows 0 to {self.n_nodes - 1}")
            return int(node)
        wanted = as_node_id(node)
        try:
            return self._rows[wanted]
        except KeyError:
            raise GraphError(f"the graph has no node {wanted}; {self._near(wanted)}") from None

    def node(self, node: int | Sequence[Any]) -> NodeId:
        """The NodeId of a node given as a row number, a NodeId, or a tuple; GraphError if it is not in the graph."""
        return self.node_ids[self.row(node)]

    def _near(self, wanted: NodeId) -> str:
        """Hint for a node that is not there: the positions where the same one is."""
        same = [
            node.position
            for node in self.node_ids
            if (node.kind, node.layer, node.index) == (*wanted[:2], wanted.index)
        ]
        if same:
            return f"it is there at position {', '.join(map(str, same[:8]))}"
        return "`graph.nodes` lists all there are (a pruned graph has fewer)"

    def label(self, node: int | Sequence[Any]) -> str:
        """The label of a node: its own, else its feature's, else ""."""
        found = self.node(node)
        own = self.labels.get(found)
        if own is None and found.kind == KIND_NAMES[FEATURE]:
            own = self.labels.get(str(FeatureName(found.layer, found.index)))
        return own or ""

    def token(self, node: int | Sequence[Any]) -> str:
        """The text that a node stands for: of its token for embeddings and logits, else of its position's token."""
        row = self.row(node)
        if self.kind[row] in (EMBEDDING, LOGIT):
            return self.node_token[row]
        return self.tokens[self.position[row]]


def _column(name: str, values: npt.ArrayLike, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """`values` as a read-only array of `dtype`; copied only where the dtype differs."""
    try:
        array = np.asarray(values)
        result = array.astype(dtype, copy=False)
    except (TypeError, ValueError, OverflowError) as error:
        raise GraphError(f"column {name!r} cannot be read as {np.dtype(dtype).name}: {error}") from error
    if array.dtype != result.dtype and result.dtype.kind in "iu" and not np.array_equal(result, array):
        raise GraphError(f"column {name!r} has values that {np.dtype(dtype).name} cannot hold")
    return read_only(result)
