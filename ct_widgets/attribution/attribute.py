"""`attribute`: from a prompt to its attribution graph [CT25, "Attribution graphs"].

Axes: n node, t target, s source, p position, l layer, d model, e edge.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

import ct_widgets
from ct_widgets.attribution.local_replacement_model import LocalReplacementModel
from ct_widgets.attribution.nodes import Nodes, lay_out
from ct_widgets.attribution.plan import choose_cut
from ct_widgets.attribution.rows import RowComputer
from ct_widgets.attribution.targets import LogitTargets, logit_targets
from ct_widgets.errors import GraphError
from ct_widgets.graph import AttributionGraph
from ct_widgets.graph.adjacency import select_nodes
from ct_widgets.language_model import LanguageModel
from ct_widgets.progress import progress
from ct_widgets.transcoders import Transcoder

# Rounds of adaptive mode: how often influence is ranked anew on the way to `max_feature_nodes`.
ROUNDS = 12
# What the streams of sources may hold.
STREAM_BYTES = 2 * 2**30


@torch.no_grad()
def attribute(
    model: LanguageModel,
    transcoder: Transcoder,
    prompt: str | Sequence[int] | Tensor,
    *,
    targets: Sequence[str | int] | None = None,
    max_feature_nodes: int | None = None,
    ignore_bos: bool = True,
    show_progress: bool | None = None,
) -> AttributionGraph:
    """Attribution graph of a prompt: which tokens and features the likeliest next tokens are owed to, and how.

    targets: tokens (or ids) to explain; by default the likeliest up to 95 % probability, at most 10.
    max_feature_nodes: compute rows for this many features only, the most influential first; others are left out.
    ignore_bos: position 0 has no feature or error nodes; what its MLPs write counts as bias, so rows still close.

    Raises PromptError for a prompt that does not fit the model, TargetError for a target that does not exist.
    """
    if max_feature_nodes is not None and max_feature_nodes < 1:
        raise GraphError(f"max_feature_nodes is {max_feature_nodes}; give at least 1, or None for all features")
    local = LocalReplacementModel.build(model, transcoder, model.tokens(prompt), ignore_bos=ignore_bos)
    asked = logit_targets(model, local, targets)
    nodes = lay_out(local, asked)
    n_features = len(local.features)
    budget = n_features if max_feature_nodes is None else min(max_feature_nodes, n_features)
    every = budget == n_features
    rows = RowComputer(local, asked, nodes, choose_cut(local, STREAM_BYTES) if every else 0)
    visited = np.full(n_features, every)
    with progress(len(asked.text) + budget, "attribution", unit="row", show=show_progress) as bar:
        for done in _every_row(rows) if every else _most_influential(rows, asked, budget, visited):
            bar.advance(done)
    text = prompt if isinstance(prompt, str) else "".join(model.str_tokens(local.run.tokens))
    return _graph(model, local, asked, nodes, rows, visited, text)


def _every_row(rows: RowComputer) -> Iterator[int]:
    """Compute all rows; yields how many were done."""
    yield from rows.climb(keep_rows=True)
    yield from rows.sweep_logits()
    yield from rows.sweep_features(np.flatnonzero(rows.local.features.layer.cpu().numpy() > rows.streams.cut))


def _most_influential(
    rows: RowComputer, asked: LogitTargets, budget: int, visited: npt.NDArray[np.bool_]
) -> Iterator[int]:
    """Compute the rows of `budget` features, the most influential so far first, and mark them in `visited`."""
    yield from rows.climb(keep_rows=False)
    yield from rows.sweep_logits()
    share = np.zeros(rows.store.n)
    share[rows.nodes.logit] = asked.probability.double().cpu().numpy()
    for part in np.array_split(np.arange(budget), ROUNDS):
        influence = rows.store.influence(share)[rows.nodes.feature]
        influence[visited] = -1
        chosen = np.argsort(-influence, kind="stable")[: len(part)]
        visited[chosen] = True
        yield from rows.sweep_features(chosen)


def feature_bias(local: LocalReplacementModel) -> Tensor:
    """Bias of every active feature: its pre-activation when all nodes are silent. -> [s]."""
    features, constant = local.features, local.constants().inputs
    bias = torch.empty_like(features.preactivation)
    for layer in range(features.n_layers):
        mine = features.layer == layer
        index = features.index[mine]
        read = local.transcoder.encoder_vectors(layer, index)
        b_enc = local.transcoder.b_enc[layer][index].to(read.dtype)
        bias[mine] = (read * constant[layer, features.position[mine]]).sum(-1) + b_enc
    return bias


def _graph(
    model: LanguageModel,
    local: LocalReplacementModel,
    asked: LogitTargets,
    nodes: Nodes,
    rows: RowComputer,
    visited: npt.NDArray[np.bool_],
    prompt: str,
) -> AttributionGraph:
    n = rows.store.n
    per_node = {name: np.full(n, np.nan, np.float32) for name in ("activation", "probability", "bias", "preactivation")}

    def fill(name: str, row: npt.NDArray[np.int64], value: Tensor) -> None:
        per_node[name][row] = value.float().cpu().numpy()

    features = local.features
    fill("activation", nodes.feature, features.activation)
    fill("preactivation", nodes.feature, features.preactivation)
    fill("bias", nodes.feature, feature_bias(local))
    fill("preactivation", nodes.logit, asked.value)
    fill("bias", nodes.logit, asked.bias)
    fill("probability", nodes.logit, asked.probability)
    tokens = model.str_tokens(local.run.tokens)
    keep = np.ones(n, dtype=bool)
    keep[nodes.feature[~visited]] = False
    adjacency = rows.store.adjacency()
    if not keep.all():
        adjacency = select_nodes(adjacency, keep)
    node_token = np.full(n, "", dtype=object)
    node_token[nodes.embedding] = tokens
    node_token[nodes.logit] = asked.text
    columns: dict[str, Any] = {name: column[keep] for name, column in (nodes.columns | per_node).items()}
    return AttributionGraph.from_columns(
        prompt=prompt,
        tokens=tokens,
        token_ids=local.run.tokens.cpu().numpy(),
        n_layers=local.run.n_layers,
        **columns,
        node_token=node_token[keep].tolist(),
        indptr=adjacency.indptr,
        source=adjacency.source,
        weight=adjacency.weight,
        # Features left out count as unexplained, so shares and scores stay those of the whole graph.
        row_total=rows.store.row_total[keep],
        provenance=_provenance(model, local),
    )


def _provenance(model: LanguageModel, local: LocalReplacementModel) -> dict[str, Any]:
    versions = {name: version(name) for name in ("torch", "transformer-lens")}
    return {
        "model": model.name,
        "transcoder": local.transcoder.name,
        "transcoder_kind": local.transcoder.kind,
        "ignore_bos": bool(local.first_position),
        "logit_error": float((local.logits() - local.run.logits).abs().max()),
        "versions": {"ct-widgets": ct_widgets.__version__, **versions},
    }
