"""Nodes, rows and biases put together as an AttributionGraph.

Axes: n node, s active feature, p position, l layer.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from ct_widgets.attribution.local_replacement_model import LocalReplacementModel
from ct_widgets.attribution.row_store import RowStore
from ct_widgets.attribution.rows import Targets
from ct_widgets.graph import AttributionGraph
from ct_widgets.graph.adjacency import Bool


class GraphColumns(NamedTuple):
    """All of a graph but its edges. keep: [n], which nodes of the prompt it has."""

    keep: Bool
    columns: dict[str, Any]


def describe(targets: Targets, store: RowStore, visited: Bool, prompt: str | None, *, partial: bool) -> GraphColumns:
    """Describe all nodes but the features that were not `visited` [s]; a prompt of None is spelled from its tokens."""
    local, nodes = targets.local, targets.nodes
    keep = np.ones(store.n, dtype=bool)
    keep[nodes.feature[~visited]] = False
    store.reserve(keep)
    tokens = local.model.language_model.str_tokens(local.run.tokens)
    node_token = np.full(store.n, "", dtype=object)
    node_token[nodes.embedding] = tokens
    node_token[nodes.logit] = targets.logits.text
    columns: dict[str, Any] = {name: column[keep] for name, column in (nodes.columns | _values(targets)).items()}
    columns |= {
        "prompt": "".join(tokens) if prompt is None else prompt,
        "tokens": tokens,
        "token_ids": local.run.tokens.cpu().numpy(),
        "n_layers": local.run.n_layers,
        "node_token": node_token[keep].tolist(),
        # Features left out count as unexplained, so shares and scores stay those of the whole graph.
        "row_total": store.row_total[keep],
        "provenance": _provenance(local) | ({"partial": True} if partial else {}),
    }
    return GraphColumns(keep, columns)


def assemble(graph: GraphColumns, store: RowStore) -> AttributionGraph:
    """Make the graph of these nodes and the rows of a store, which is empty afterwards."""
    indptr, source, weight = store.take(graph.keep)
    return AttributionGraph.from_columns(**graph.columns, indptr=indptr, source=source, weight=weight)


def _values(targets: Targets) -> dict[str, npt.NDArray[np.float32]]:
    """Activation, probability, bias and pre-activation of every node, [n]; nan where there is none."""
    logits, nodes = targets.logits, targets.nodes
    feature = {name: getattr(targets.local.features, name) for name in ("activation", "preactivation", "bias")}
    logit = {"probability": logits.probability, "preactivation": logits.value, "bias": logits.bias}
    values = {name: np.full(len(nodes.number), np.nan, np.float32) for name in feature.keys() | logit.keys()}
    for row, group in ((nodes.feature, feature), (nodes.logit, logit)):
        numbers = torch.stack(list(group.values())).float().cpu().numpy()  # one transfer from a GPU
        for name, value in zip(group, numbers, strict=True):
            values[name][row] = value
    return values


def _provenance(local: LocalReplacementModel) -> dict[str, Any]:
    transcoder = local.model.transcoder
    return {
        "model": local.model.language_model.name,
        "transcoder": transcoder.name,
        "transcoder_kind": transcoder.kind,
        "by_autograd": local.explicit_map is None,
        "ignore_bos": bool(local.first_position),
        "logit_error": float((local.logits(slice(-1, None)) - local.run.logits[-1:]).abs().max()),
        "versions": {name: _version(name) for name in ("ct-widgets", "torch", "transformer-lens")},
    }


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # run from its sources, without being installed
        return "unknown"
