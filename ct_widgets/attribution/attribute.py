"""`attribute`: from a prompt to its attribution graph [CT25, "Attribution graphs"], in five phases.

1. Freeze: one forward pass records attention and norms; active features and errors replace the MLPs (replace_mlps).
2. Name the targets: logits or other directions at the output, and every node's place in the graph (targets, rows).
3. Choose who computes rows: the fast path, or autograd where a family's linear map is not known (fast, reference).
4. Compute the rows A[t, :], all or those of the most influential features; `sweep.py` defines them (row_computer).
5. Assemble nodes, edges and biases into an AttributionGraph (assemble).

Axes: n node, t target, s source, p position, l layer, d model, e edge.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Literal, TypedDict

import numpy as np
import torch
from torch import Tensor

from ct_widgets.attribution.assemble import GraphColumns, assemble, describe
from ct_widgets.attribution.fast import FastRows
from ct_widgets.attribution.local_replacement_model import replace_mlps
from ct_widgets.attribution.memory_plan import make_plan
from ct_widgets.attribution.nodes import Ints
from ct_widgets.attribution.reference import AutogradRows
from ct_widgets.attribution.row_computer import RowComputer
from ct_widgets.attribution.row_store import RowStore
from ct_widgets.attribution.rows import Targets
from ct_widgets.attribution.targets import Target, logit_targets
from ct_widgets.attribution.tuning import Tuning, tuning_for
from ct_widgets.errors import GraphError
from ct_widgets.graph import AttributionGraph
from ct_widgets.graph.adjacency import Bool
from ct_widgets.progress import SILENT, Progress
from ct_widgets.transcoded_model import TranscodedModel

ROUNDS = 4
"""How often adaptive mode ranks influence anew on the way to `max_feature_nodes`."""

OnInterrupt = Literal["raise", "partial"]


class AttributionOptions(TypedDict, total=False):
    """Keywords of `ReplacementModel.attribute`."""

    targets: Sequence[Target] | None
    max_feature_nodes: int | None
    ignore_bos: bool
    max_memory: float
    on_interrupt: OnInterrupt
    progress: bool | None


@torch.no_grad()
def attribute(
    model: TranscodedModel,
    prompt: str | Sequence[int] | Tensor,
    *,
    targets: Sequence[Target] | None = None,
    max_feature_nodes: int | None = None,
    ignore_bos: bool = True,
    max_memory: float = 4 * 2**30,
    on_interrupt: OnInterrupt = "raise",
    tuning: Tuning | None = None,
    progress: Progress = SILENT,
) -> AttributionGraph:
    """Compute the attribution graph of a prompt; `ReplacementModel.attribute` says what the arguments mean.

    progress: counts rows; tuning: sizes of blocks, by default as measured for the model's device.
    Raises PromptError, TargetError, GraphError and ModelError as the method does.

    >>> graph = attribute(model, "calc: 36+59=", max_feature_nodes=100)
    """
    if max_feature_nodes is not None and max_feature_nodes < 1:
        raise GraphError(f"max_feature_nodes is {max_feature_nodes}; give at least 1, or None for all features")
    tuning = tuning or tuning_for(model.language_model.device)
    columns, store = _trace(
        model, prompt, targets, max_feature_nodes, ignore_bos, max_memory, on_interrupt, tuning, progress
    )
    # 5. Assemble; what only the rows needed is free again, which leaves room for the edges.
    return assemble(columns, store)


def _trace(
    model: TranscodedModel,
    prompt: str | Sequence[int] | Tensor,
    targets: Sequence[Target] | None,
    max_feature_nodes: int | None,
    ignore_bos: bool,
    max_memory: float,
    on_interrupt: OnInterrupt,
    tuning: Tuning,
    progress: Progress,
) -> tuple[GraphColumns, RowStore]:
    """Phases 1 to 4: the nodes' columns, and the rows."""
    # 1. Freeze
    tokens = model.language_model.tokens(prompt)
    local, writes = replace_mlps(model, tokens, ignore_bos=ignore_bos, max_memory=max_memory, tuning=tuning)
    # 2. Name the targets
    all_targets = Targets(local, logit_targets(local, targets))
    # 3. Choose who computes rows
    n_features = len(local.features)
    budget = n_features if max_feature_nodes is None else min(max_feature_nodes, n_features)
    every = budget == n_features
    plan = make_plan(local, writes, None if every else budget, max_memory, tuning)
    if local.explicit_map is not None:
        rows: RowComputer = FastRows(all_targets, writes, plan)
    else:
        name = model.language_model.name
        warnings.warn(f"{name}: the linear map of this family is not known; its rows come from autograd", stacklevel=3)
        rows = AutogradRows(all_targets, writes)
    # 4. Compute the rows
    visited = np.zeros(n_features, dtype=bool)
    progress.extend(budget)
    partial = False
    try:
        for done in rows.all_rows() if every else _most_influential(rows, all_targets, budget, visited):
            visited[done] = True
            progress.advance(len(done))
    except KeyboardInterrupt:
        # Without the logits' rows there is nothing to show.
        if on_interrupt == "raise" or not rows.has_logits:
            raise
        partial = True
    text = prompt if isinstance(prompt, str) else None
    return describe(all_targets, rows.store, visited, text, partial=partial), rows.store


def _most_influential(rows: RowComputer, targets: Targets, budget: int, visited: Bool) -> Iterator[Ints]:
    """Compute the rows of `budget` features, the most influential so far first; yields those that have theirs."""
    rows.before_ranking()
    share = np.zeros(rows.store.n)
    share[targets.nodes.logit] = targets.logits.probability.double().cpu().numpy()
    for part in np.array_split(np.arange(budget), min(ROUNDS, budget)):
        influence = rows.store.influence(share)[targets.nodes.feature]
        influence[visited] = -1
        yield from rows.feature_rows(np.argsort(-influence, kind="stable")[: len(part)])
