"""Where each source and target of the sweep stands in the graph: the node columns and their order.

The order is topological: embeddings by position; per layer, features by (position, index), then errors by position;
logits by falling probability. Axes: n node, s active feature, t target, p position, l layer, e edge.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ct_widgets.attribution.local_replacement_model import LocalReplacementModel
from ct_widgets.attribution.sweep import Rows
from ct_widgets.attribution.targets import LogitTargets
from ct_widgets.graph.node_id import EMBEDDING, ERROR, FEATURE, LOGIT, NO_INDEX

Ints = npt.NDArray[np.int64]


class Nodes(NamedTuple):
    """Columns of the graph's nodes, and the row in them of every feature [s], error [l, p], embedding [p], logit [t].

    An error that is no node (before the first position) has row -1.
    """

    columns: dict[str, npt.NDArray[Any]]
    feature: Ints
    error: Ints
    embedding: Ints
    logit: Ints


def lay_out(local: LocalReplacementModel, targets: LogitTargets) -> Nodes:
    """Put all nodes of one prompt in order."""
    run, features = local.run, local.features
    P, L, first = run.n_positions, run.n_layers, local.first_position
    ids = targets.index.cpu().numpy()
    # In this order: embeddings, features, errors, logits.
    layers = [np.full(P, -1), _numpy(features.layer), np.repeat(np.arange(L), P - first), np.full(len(ids), L)]
    positions = [np.arange(P), _numpy(features.position), np.tile(np.arange(first, P), L), np.full(len(ids), P - 1)]
    indices = [_numpy(run.tokens), _numpy(features.index), np.full(L * (P - first), NO_INDEX), ids]
    sizes = [len(layer) for layer in layers]
    columns: dict[str, npt.NDArray[Any]] = {
        "kind": np.repeat(np.array([EMBEDDING, FEATURE, ERROR, LOGIT], dtype=np.uint8), sizes),
        "layer": np.concatenate(layers),
        "position": np.concatenate(positions),
        "index": np.concatenate(indices),
    }
    # Stable, and embeddings and logits come in their own order: an index would reorder the logits.
    index = np.where(columns["kind"] == FEATURE, columns["index"], 0)
    order = np.lexsort((index, columns["position"], columns["kind"], columns["layer"]))
    row = np.empty(len(order), dtype=np.int64)
    row[order] = np.arange(len(order))
    embedding_row, feature_row, error_row, logit_row = np.split(row, np.cumsum(sizes)[:-1])
    padded = np.full((L, P), -1)
    padded[:, first:] = error_row.reshape(L, P - first)
    return Nodes(
        {name: column[order] for name, column in columns.items()}, feature_row, padded, embedding_row, logit_row
    )


def _numpy(tensor: Tensor) -> Ints:
    return tensor.cpu().numpy()


def sparse_rows(
    rows: Rows, embedding: Tensor, nodes: Nodes
) -> tuple[Ints, npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """The nonzero edges of a block, embedding: [t, p] among them, as (edges per row [t], source [e], weight [e])."""
    n, _, end = rows.error.shape
    parts = (embedding[:, :end], rows.feature, rows.error)
    dense = torch.cat([part.reshape(n, -1).float() for part in parts], dim=1).cpu().numpy()
    node = (nodes.embedding[:end], nodes.feature[: rows.feature.shape[1]], nodes.error[:, :end].ravel())
    columns = np.concatenate(node)
    order = np.argsort(columns, kind="stable")
    order = order[columns[order] >= 0]
    dense, columns = dense[:, order], columns[order].astype(np.int32)
    target, place = dense.nonzero()
    return np.bincount(target, minlength=n), columns[place], dense[target, place]
