"""The columns of an attribution graph, named and typed once: checks, files and pruning ask here.

Axes: n nodes in topological order, e edges, p prompt positions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ct_widgets.display import CardSource
from ct_widgets.graph.adjacency import Adjacency, Float32, Int32, Int64
from ct_widgets.graph.node_id import LabelKey, NodeId, Supernode


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Columns:
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
    features: CardSource | None = None
    """Knows the model's features, for cards of them in views; see `AttributionGraph.with_features`."""

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


NODE_ARRAYS: Mapping[str, type[np.generic]] = {
    "kind": np.uint8,
    "layer": np.int16,
    "position": np.int32,
    "index": np.int64,
    "activation": np.float32,
    "probability": np.float32,
    "bias": np.float32,
    "preactivation": np.float32,
    "row_total": np.float32,
}
"""Arrays with one number per node, which every graph has, and their dtypes."""

NODE_COLUMNS = (*NODE_ARRAYS, "node_token")
"""Columns with one value per node, which every graph has."""

OPTIONAL = ("cumulative",)
"""Arrays that a graph may lack."""

EDGE_ARRAYS: Mapping[str, type[np.generic]] = {"indptr": np.int64, "source": np.int32, "weight": np.float32}
"""The arrays of Adjacency."""

ARRAYS: Mapping[str, type[np.generic]] = {
    "token_ids": np.int32,
    **NODE_ARRAYS,
    **EDGE_ARRAYS,
    "cumulative": np.float32,
}
"""All arrays of a graph."""
