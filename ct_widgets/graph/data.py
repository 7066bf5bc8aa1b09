"""The columns of an attribution graph: plain immutable data, checked once when it is made.

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
from ct_widgets.graph.adjacency import Adjacency, Bool, Float32, Float64, Int32, Int64, read_only, row_sums
from ct_widgets.graph.checks import check, check_adjacency
from ct_widgets.graph.influence import influence
from ct_widgets.graph.node_id import (
    EMBEDDING,
    FEATURE,
    KIND_NAMES,
    LOGIT,
    LabelKey,
    NodeId,
    Supernode,
    as_label_key,
    as_node_id,
    as_supernodes,
    feature_name,
)
from ct_widgets.graph.pruning import cumulative_share


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class GraphData:
    """Nodes, signed edges and provenance of one attribution graph.

    Rows are in topological order: embeddings by position; per layer features by (position, index), then errors by
    position; logits last, by falling probability. Nodes of other kinds, which only foreign files have, stand anywhere
    that keeps edges pointing from lower to higher rows.
    """

    prompt: str
    tokens: tuple[str, ...]
    """Text of each token, [p]."""
    token_ids: Int32
    """Vocabulary ids, [p]; -1 where a file does not say."""
    n_layers: int
    kind: npt.NDArray[np.uint8]
    """Code of each node's kind, [n]: its place in KINDS, or 4 for a kind that only a foreign file has."""
    layer: npt.NDArray[np.int16]
    """[n]; -1 for embeddings, n_layers for logits."""
    position: Int32
    """[n]; the last one for logits."""
    index: Int64
    """[n]; feature index, vocabulary id, or -1 for errors."""
    activation: Float32
    """[n]; nan where there is none."""
    probability: Float32
    """[n]; nan for all but logits."""
    node_token: tuple[str, ...]
    """[n]; text of embedding and logit tokens, "" for others."""
    adjacency: Adjacency
    """A[t, s], what source s adds to the input of target t."""
    bias: Float32
    """[n]; every constant path into a target, nan where unknown."""
    preactivation: Float32
    """[n]; row sum + bias + residual, nan for nodes that are no targets."""
    row_total: Float32
    """[n]; sum of |A| over the row as it was attributed, so that shares stay true after pruning."""
    cumulative: Float32 | None
    """[n]; a node's cumulative share of influence in the graph that this one was pruned from, if there was one."""
    labels: Mapping[LabelKey, str]
    supernodes: tuple[Supernode, ...]
    pinned: tuple[NodeId, ...]
    provenance: Mapping[str, Any]
    """Model, transcoder, settings, versions, hashes: JSON values."""
    features: Any = None
    """What knows the model's features, for cards of them in views; see `AttributionGraph.with_features`."""

    def __post_init__(self) -> None:
        check(self)

    @classmethod
    def from_columns(
        cls,
        *,
        prompt: str,
        tokens: Iterable[str],
        token_ids: npt.ArrayLike,
        n_layers: int,
        kind: npt.ArrayLike,
        layer: npt.ArrayLike,
        position: npt.ArrayLike,
        index: npt.ArrayLike,
        activation: npt.ArrayLike,
        probability: npt.ArrayLike,
        node_token: Iterable[str],
        indptr: npt.ArrayLike,
        source: npt.ArrayLike,
        weight: npt.ArrayLike,
        bias: npt.ArrayLike,
        preactivation: npt.ArrayLike,
        provenance: Mapping[str, Any],
        labels: Mapping[Any, str] | None = None,
        supernodes: Iterable[Sequence[Any]] = (),
        pinned: Iterable[Sequence[Any]] = (),
        row_total: npt.ArrayLike | None = None,
        cumulative: npt.ArrayLike | None = None,
    ) -> Self:
        """A graph from its columns; raises GraphError where they do not fit together."""
        adjacency = Adjacency(
            _column("indptr", indptr, np.int64),
            _column("source", source, np.int32),
            _column("weight", weight, np.float32),
        )
        if row_total is None:
            check_adjacency(adjacency)
            row_total = row_sums(adjacency.indptr, np.abs(adjacency.weight))
        return cls(
            prompt=prompt,
            tokens=tuple(tokens),
            token_ids=_column("token_ids", token_ids, np.int32),
            n_layers=int(n_layers),
            kind=_column("kind", kind, np.uint8),
            layer=_column("layer", layer, np.int16),
            position=_column("position", position, np.int32),
            index=_column("index", index, np.int64),
            activation=_column("activation", activation, np.float32),
            probability=_column("probability", probability, np.float32),
            node_token=tuple(node_token),
            adjacency=adjacency,
            bias=_column("bias", bias, np.float32),
            preactivation=_column("preactivation", preactivation, np.float32),
            row_total=_column("row_total", row_total, np.float32),
            cumulative=None if cumulative is None else _column("cumulative", cumulative, np.float32),
            labels=MappingProxyType({as_label_key(key): str(text) for key, text in (labels or {}).items()}),
            supernodes=as_supernodes(supernodes),
            pinned=tuple(as_node_id(node) for node in pinned),
            provenance=MappingProxyType(dict(provenance)),
        )

    @property
    def indptr(self) -> Int64:
        """Where each target's edges begin, [n + 1]."""
        return self.adjacency.indptr

    @property
    def source(self) -> Int32:
        """Source of every edge, [e]."""
        return self.adjacency.source

    @property
    def weight(self) -> Float32:
        """Signed weight of every edge, [e]."""
        return self.adjacency.weight

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
            raise GraphError(f"{unknown[0]!r} is no kind of node: expected one of {', '.join(KIND_NAMES)}")
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
            own = self.labels.get(feature_name(found.layer, found.index))
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
