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
from ct_widgets.attribution.nodes import Nodes, lay_out, sparse_rows
from ct_widgets.attribution.row_store import RowStore
from ct_widgets.attribution.sweep import Targets, sweep
from ct_widgets.attribution.targets import LogitTargets, logit_targets
from ct_widgets.errors import GraphError
from ct_widgets.graph import AttributionGraph
from ct_widgets.language_model import LanguageModel
from ct_widgets.progress import progress
from ct_widgets.transcoders import Transcoder

# Targets of one position that walk together: enough for efficient products, few enough to stay in memory.
BLOCK = 512
# Rounds of adaptive mode: how often influence is ranked anew on the way to `max_feature_nodes`.
ROUNDS = 16


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
    rows = _Rows(local, asked, nodes)
    n_features = len(local.features)
    budget = n_features if max_feature_nodes is None else min(max_feature_nodes, n_features)
    with progress(len(asked.text) + budget, "attribution", unit="row", show=show_progress) as bar:
        for done in rows.logits():
            bar.advance(done)
        visited = np.zeros(n_features, dtype=bool)
        while (left := budget - int(visited.sum())) > 0:
            chosen = _next(rows, asked, visited, left if budget == n_features else -(-budget // ROUNDS))[:left]
            visited[chosen] = True
            for done in rows.features(chosen):
                bar.advance(done)
    text = prompt if isinstance(prompt, str) else "".join(model.str_tokens(local.run.tokens))
    return _graph(model, local, asked, nodes, rows, visited, text)


def _next(rows: _Rows, asked: LogitTargets, visited: npt.NDArray[np.bool_], n: int) -> npt.NDArray[np.int64]:
    """The `n` features to compute next: those with the most influence so far."""
    if n >= len(visited):
        return np.arange(len(visited))
    share = np.zeros(rows.store.n)
    share[rows.nodes.logit] = asked.probability.double().cpu().numpy()
    influence = rows.store.influence(share)[rows.nodes.feature]
    influence[visited] = -1
    return np.argsort(-influence, kind="stable")[:n]


class _Rows:
    """Computes rows by blocks of one position and keeps them."""

    def __init__(self, local: LocalReplacementModel, asked: LogitTargets, nodes: Nodes) -> None:
        self.local, self.asked, self.nodes = local, asked, nodes
        self.store = RowStore(len(nodes.columns["kind"]))

    def logits(self) -> Iterator[int]:
        """Compute the logits' rows; yields how many were done."""
        run = self.local.run
        n = len(self.asked.text)
        layer = torch.full((n,), run.n_layers)
        yield from self._compute(
            Targets(layer, torch.full((n,), run.n_positions - 1), self.asked.vector), self.nodes.logit
        )

    def features(self, chosen: npt.NDArray[np.int64]) -> Iterator[int]:
        """Compute the rows of the features numbered `chosen`, position by position; yields how many were done."""
        features = self.local.features
        position = features.position.cpu().numpy()[chosen]
        layer = features.layer.cpu().numpy()[chosen]
        order = np.lexsort((-layer, position))
        bounds = np.flatnonzero(np.diff(position[order])) + 1
        for same_position in np.split(chosen[order], bounds):
            for start in range(0, len(same_position), BLOCK):
                block = same_position[start : start + BLOCK]
                yield from self._compute(
                    feature_targets(self.local, torch.from_numpy(block)), self.nodes.feature[block]
                )

    def _compute(self, targets: Targets, node: npt.NDArray[np.int64]) -> Iterator[int]:
        rows = sweep(self.local, targets)
        self.store.add(node, *sparse_rows(rows, self.nodes, int(targets.position[0])))
        yield len(targets)


def feature_targets(local: LocalReplacementModel, chosen: Tensor) -> Targets:
    """What the features numbered `chosen` read of the residual stream at their layer and position."""
    features, run = local.features, local.run
    chosen = chosen.to(features.layer.device)
    layer, position, index = features.layer[chosen], features.position[chosen], features.index[chosen]
    vector = features.activation.new_empty(len(chosen), run.embedding.shape[-1])
    for one in layer.unique().tolist():
        mine = layer == one
        read = local.transcoder.encoder_vectors(one, index[mine])
        vector[mine] = run.pull_back_read(local.frozen_map, one, read, position[mine])
    return Targets(layer, position, vector)


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
    rows: _Rows,
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
    matrix = rows.store.matrix()
    if not keep.all():
        matrix = matrix[keep][:, keep]
    node_token = np.full(n, "", dtype=object)
    node_token[nodes.embedding] = tokens
    node_token[nodes.logit] = asked.text
    return AttributionGraph.from_columns(
        prompt=prompt,
        tokens=tokens,
        token_ids=local.run.tokens.cpu().numpy(),
        n_layers=local.run.n_layers,
        **{name: column[keep] for name, column in (nodes.columns | per_node).items()},
        node_token=node_token[keep].tolist(),
        indptr=matrix.indptr,
        source=matrix.indices,
        weight=matrix.data,
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
