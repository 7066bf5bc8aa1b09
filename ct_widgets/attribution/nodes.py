"""Where each source and target stands in the graph: the node columns and their order.

The order is topological: embeddings by position; per layer, features by (position, index), then errors by position;
logits by falling probability. Axes: n node, s active feature, t target, p position, l layer.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ct_widgets.attribution.local_replacement_model import LocalReplacementModel
from ct_widgets.attribution.targets import LogitTargets
from ct_widgets.graph.node_id import EMBEDDING, ERROR, FEATURE, LOGIT, NO_INDEX

Ints = npt.NDArray[np.int64]


class Nodes(NamedTuple):
    """Columns of the graph's nodes, and the row in them of every feature [s], embedding [p] and logit [t].

    number: [n], the place of a node among those of its kind, as `rows.Rows` has them.
    """

    columns: dict[str, npt.NDArray[Any]]
    number: Ints
    feature: Ints
    embedding: Ints
    logit: Ints


def lay_out(local: LocalReplacementModel, logits: LogitTargets) -> Nodes:
    """Put all nodes of one prompt in order."""
    run, features = local.run, local.features
    P, L, first = run.n_positions, run.n_layers, local.first_position
    ids = logits.index.cpu().numpy()
    # In this order: embeddings, features, errors, logits.
    layers = [np.full(P, -1), features.layer.numpy(), np.repeat(np.arange(L), P - first), np.full(len(ids), L)]
    positions = [np.arange(P), features.position.numpy(), np.tile(np.arange(first, P), L), np.full(len(ids), P - 1)]
    indices = [run.tokens.cpu().numpy(), features.index.numpy(), np.full(L * (P - first), NO_INDEX), ids]
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
    number = np.concatenate([np.arange(size) for size in sizes])
    errors = columns["kind"] == ERROR
    number[errors] = columns["position"][errors] * L + columns["layer"][errors]
    row = np.empty(len(order), dtype=np.int64)
    row[order] = np.arange(len(order))
    embedding_row, feature_row, _, logit_row = np.split(row, np.cumsum(sizes)[:-1])
    ordered = {name: column[order] for name, column in columns.items()}
    return Nodes(ordered, number[order], feature_row, embedding_row, logit_row)
