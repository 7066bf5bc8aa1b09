"""Nodes, rows and biases put together as an AttributionGraph.

Axes: n node, s active feature, p position, l layer.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

import ct_widgets
from ct_widgets.attribution.local_replacement_model import LocalReplacementModel
from ct_widgets.attribution.reference import AutogradRows
from ct_widgets.attribution.row_store import RowStore
from ct_widgets.attribution.rows import RowComputer
from ct_widgets.graph import AttributionGraph


class Nodes(NamedTuple):
    """All of a graph but its edges. keep: [n], which nodes of the prompt it has."""

    keep: npt.NDArray[np.bool_]
    columns: dict[str, Any]


def describe(
    rows: RowComputer | AutogradRows, visited: npt.NDArray[np.bool_], prompt: str | None, *, partial: bool
) -> Nodes:
    """All nodes but the features that were not `visited` [s]; a prompt of None is spelled from its tokens."""
    local, nodes, model = rows.local, rows.nodes, rows.local.model
    n = rows.store.n
    keep = np.ones(n, dtype=bool)
    keep[nodes.feature[~visited]] = False
    rows.store.reserve(keep)
    tokens = model.str_tokens(local.run.tokens)
    node_token = np.full(n, "", dtype=object)
    node_token[nodes.embedding] = tokens
    node_token[nodes.logit] = rows.asked.text
    columns: dict[str, Any] = {name: column[keep] for name, column in (nodes.columns | _values(rows)).items()}
    columns |= {
        "prompt": "".join(tokens) if prompt is None else prompt,
        "tokens": tokens,
        "token_ids": local.run.tokens.cpu().numpy(),
        "n_layers": local.run.n_layers,
        "node_token": node_token[keep].tolist(),
        # Features left out count as unexplained, so shares and scores stay those of the whole graph.
        "row_total": rows.store.row_total[keep],
        "provenance": _provenance(local) | ({"partial": True} if partial else {}),
    }
    return Nodes(keep, columns)


def assemble(nodes: Nodes, store: RowStore) -> AttributionGraph:
    """The graph of these nodes and the rows of a store, which is empty afterwards."""
    indptr, source, weight = store.take(nodes.keep)
    return AttributionGraph.from_columns(**nodes.columns, indptr=indptr, source=source, weight=weight)


def _values(rows: RowComputer | AutogradRows) -> dict[str, npt.NDArray[np.float32]]:
    """Activation, probability, bias and pre-activation of every node, [n]; nan where there is none."""
    features, asked = rows.local.features, rows.asked
    feature = {
        "activation": features.activation,
        "preactivation": features.preactivation,
        "bias": features.bias,
    }
    logit = {"probability": asked.probability, "preactivation": asked.value, "bias": asked.bias}
    names = feature.keys() | logit.keys()
    values = {name: np.full(rows.store.n, np.nan, np.float32) for name in names}
    for row, group in ((rows.nodes.feature, feature), (rows.nodes.logit, logit)):
        numbers = torch.stack(list(group.values())).float().cpu().numpy()  # one transfer from a GPU
        for name, value in zip(group, numbers, strict=True):
            values[name][row] = value
    return values


def _provenance(local: LocalReplacementModel) -> dict[str, Any]:
    return {
        "model": local.model.name,
        "transcoder": local.transcoder.name,
        "transcoder_kind": local.transcoder.kind,
        "by_autograd": local.explicit_map is None,
        "ignore_bos": bool(local.first_position),
        "logit_error": float((local.logits(slice(-1, None)) - local.run.logits[-1:]).abs().max()),
        "versions": {"ct-widgets": ct_widgets.__version__, **_versions()},
    }


@cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("torch", "transformer-lens")}
