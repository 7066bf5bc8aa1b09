"""`attribute`: from a prompt to its attribution graph [CT25, "Attribution graphs"].

Axes: n node, t target, s source, p position, l layer, d model, e edge.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ct_widgets.attribution.assemble import assemble, describe
from ct_widgets.attribution.local_replacement_model import LocalReplacementModel
from ct_widgets.attribution.nodes import lay_out
from ct_widgets.attribution.plan import make_plan
from ct_widgets.attribution.reference import AutogradRows
from ct_widgets.attribution.rows import RowComputer
from ct_widgets.attribution.targets import LogitTargets, Target, logit_targets
from ct_widgets.errors import GraphError
from ct_widgets.graph import AttributionGraph
from ct_widgets.language_model import LanguageModel
from ct_widgets.progress import Progress
from ct_widgets.transcoders import Transcoder

# Rounds of adaptive mode: how often influence is ranked anew on the way to `max_feature_nodes`.
ROUNDS = 4

Bool = npt.NDArray[np.bool_]
OnInterrupt = Literal["raise", "partial"]


@torch.no_grad()
def attribute(
    model: LanguageModel,
    transcoder: Transcoder,
    prompt: str | Sequence[int] | Tensor,
    bar: Progress,
    *,
    targets: Sequence[Target] | None = None,
    max_feature_nodes: int | None = None,
    ignore_bos: bool = True,
    max_memory: float = 4 * 2**30,
    on_interrupt: OnInterrupt = "raise",
) -> AttributionGraph:
    """Attribution graph of a prompt; `ReplacementModel.attribute` says what the arguments mean. `bar` counts rows."""
    if max_feature_nodes is not None and max_feature_nodes < 1:
        raise GraphError(f"max_feature_nodes is {max_feature_nodes}; give at least 1, or None for all features")
    tokens = model.tokens(prompt)
    local = LocalReplacementModel.build(model, transcoder, tokens, ignore_bos=ignore_bos, max_memory=max_memory)
    asked = logit_targets(model, local, targets)
    n_features = len(local.features)
    budget = n_features if max_feature_nodes is None else min(max_feature_nodes, n_features)
    every = budget == n_features
    rows = _rows(local, asked, None if every else budget, max_memory)
    visited = np.zeros(n_features, dtype=bool)
    bar.extend(budget)
    partial = False
    try:
        for done in rows.every_row() if every else _most_influential(rows, budget, visited):
            visited[done] = True
            bar.advance(len(done))
    except KeyboardInterrupt:
        # Without the logits' rows there is nothing to show.
        if on_interrupt == "raise" or not rows.has_logits:
            raise
        partial = True
    text = prompt if isinstance(prompt, str) else None
    nodes, store = describe(rows, visited, text, partial=partial), rows.store
    del local, asked, rows  # room for the edges
    return assemble(nodes, store)


def _rows(
    local: LocalReplacementModel, asked: LogitTargets, budget: int | None, max_memory: float
) -> RowComputer | AutogradRows:
    nodes = lay_out(local, asked)
    plan = make_plan(local, budget, max_memory)
    if local.explicit_map is not None:
        return RowComputer(local, asked, nodes, plan)
    warnings.warn(
        f"{local.model.name}: the sweep does not know this family; its rows come from autograd, one at a time",
        stacklevel=2,
    )
    return AutogradRows(local, asked, nodes)


def _most_influential(rows: RowComputer | AutogradRows, budget: int, visited: Bool) -> Iterator[npt.NDArray[np.int64]]:
    """Compute the rows of `budget` features, the most influential so far first; yields those that have theirs."""
    rows.before_ranking()
    share = np.zeros(rows.store.n)
    share[rows.nodes.logit] = rows.asked.probability.double().cpu().numpy()
    for part in np.array_split(np.arange(budget), min(ROUNDS, budget)):
        influence = rows.store.influence(share)[rows.nodes.feature]
        influence[visited] = -1
        yield from rows.sweep_features(np.argsort(-influence, kind="stable")[: len(part)])
