"""Does the local replacement model respond as the model does? Both are perturbed at one place of the residual stream.

One position between two blocks is moved (i) along the encoder of a feature that is active above it, by what adds 0.1 to
its activation, (ii) in a random direction by as much, (iii) along what a feature below it writes, by as much. Attention
patterns are frozen in both; features respond in the one, MLPs and norms in the other [CT25, "Evaluating"].
Axes: n perturbation, l (m) layer, p position, d model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ct_widgets.evaluation.ablation import baseline
from ct_widgets.graph import AttributionGraph
from ct_widgets.interventions import Baseline, Changes, Intervention, InterventionPlan, make_plan, resolve, run
from ct_widgets.progress import SILENT, Progress
from ct_widgets.transcoded_model import TranscodedModel

if TYPE_CHECKING:
    import pandas as pd

ADDED = 0.1
KINDS = {"encoder": "encoder direction", "random": "random direction", "upstream": "upstream feature"}
"""Kinds of perturbation, with their names for people."""
MEASURES = ("cosine", "normalised_mse", "cosine_mlps", "normalised_mse_mlps")
COLUMNS = ("kind", "layer", "position", "on", *MEASURES)
_TOGETHER = 32


class Perturbation(NamedTuple):
    """A vector [d] added to the residual stream before block `layer` at one position."""

    kind: str
    layer: int
    position: int
    vector: Tensor


def faithfulness(
    model: TranscodedModel, graph: AttributionGraph, *, per_layer: int, seed: int = 0, progress: Progress = SILENT
) -> pd.DataFrame:
    """Compare responses to perturbations: one row per perturbation and layer that reads after it.

    Columns: kind, layer, position, `on` (layers above the perturbation), and how the change in the local replacement
    model compares with that in the model: cosine, normalised_mse; with `_mlps` for what MLPs make of the perturbation
    alone, without the part that passes them by.

    Perturbations start from `per_layer` random features of the graph in each layer above the first. Layer n_layers
    stands for the residual stream's end, before the unembedding. `progress` counts perturbations. Raises GraphError for
    a graph of another model or transcoder.

    >>> faithfulness(model, graph, per_layer=16).groupby(["kind", "on"])["cosine"].median()
    """
    import pandas as pd

    with model.language_model.lock, torch.no_grad():
        base = baseline(model, graph)
        perturbations = make_perturbations(base, graph, per_layer, seed)
        progress.extend(len(perturbations))
        rows: list[tuple[object, ...]] = []
        for layer in range(1, base.n_layers):
            here = [one for one in perturbations if one.layer == layer]
            for start in range(0, len(here), _TOGETHER):
                some = here[start : start + _TOGETHER]
                rows += _compare(base, layer, some)
                progress.advance(len(some))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def make_perturbations(base: Baseline, graph: AttributionGraph, per_layer: int, seed: int) -> list[Perturbation]:
    """Make three of each chosen feature; no `upstream` one where nothing below is active at its position."""
    rng = np.random.default_rng(seed)
    is_feature = graph.is_kind("feature")
    made: list[Perturbation] = []
    for layer in range(1, base.n_layers):
        for row in rng.permutation(np.flatnonzero(is_feature & (graph.layer == layer)))[:per_layer].tolist():
            position, index = int(graph.position[row]), torch.tensor([int(graph.index[row])])
            along = base.transcoder.encoder_vectors(layer, index)[0]
            vector = _adding(base, layer, position, along, ADDED)
            if vector is None:
                continue
            noise = torch.from_numpy(rng.standard_normal(len(vector))).to(vector)
            below = np.flatnonzero(is_feature & (graph.layer < layer) & (graph.position == position))
            directions = {"encoder": vector, "random": noise}
            if len(below):
                directions["upstream"] = _written_below(base, graph, int(rng.choice(below)), layer)
            for kind, direction in directions.items():
                scale = vector.norm() / direction.norm().clamp_min(1e-30)
                made.append(Perturbation(kind, layer, position, direction * scale))
    return made


def _adding(base: Baseline, layer: int, position: int, along: Tensor, added: float) -> Tensor | None:
    """The perturbation that adds `added` to the pre-activation of the encoder vector `along`. -> [d].

    It is seen from before the block's norm. Attention of the block's own position counts: what it passes on reaches
    the encoder too. None where that cancels the perturbation.
    """
    run, known = base.run, base.language_model.explicit_map(base.run)
    if known is None:
        return along * added / along.square().sum()  # the encoder's own direction, without what the block adds
    here = slice(position, position + 1)
    direction = run.pull_back_read(known, layer, along[None], here)[0]
    x = torch.zeros_like(run.resid_pre[layer])
    x[position] = direction
    if not run.reads_before_attention(known):
        x = x + run.attend(known, layer, x) - run.attend(known, layer, torch.zeros_like(x))  # the linear part
    gained = float(run.read(known, layer, x)[position] @ along)
    return direction * added / gained if gained > 1e-12 else None


def _written_below(base: Baseline, graph: AttributionGraph, row: int, layer: int) -> Tensor:
    """Write of a feature to the MLP outputs below `layer`, together. -> [d]."""
    own = int(graph.layer[row])
    vectors = base.transcoder.decoder_vectors(own, torch.tensor([int(graph.index[row])]))[0]
    return vectors[: layer - own].sum(0) * float(np.sign(graph.activation[row]))


def _compare(base: Baseline, layer: int, perturbations: Sequence[Perturbation]) -> list[tuple[object, ...]]:
    """Run one layer's perturbations through the model, the local replacement model and attention alone.

    -> rows of COLUMNS.
    """
    n_layers, below = base.n_layers, layer - 1
    changes = [
        resolve([Intervention(below, one.position, direction=one.vector)], base.transcoder, base.n_positions)
        for one in perturbations
    ]
    span = (below, n_layers - 1)
    plans = (
        make_plan("open", [below], n_layers, freeze_attention=True),
        make_plan("iterative", [below], n_layers, layers=span, freeze_attention=True, freeze_norms=True),
        make_plan("constrained", [below], n_layers, layers=span, freeze_attention=True, freeze_norms=True),
    )
    real, replaced, passed = (_moved(base, plan, changes) for plan in plans)
    rows: list[tuple[object, ...]] = []
    for n, one in enumerate(perturbations):
        for m in range(layer + 1, n_layers + 1):
            a, b, c = replaced[n][m], real[n][m], passed[n][m]
            place = (one.kind, layer, one.position, m - layer)
            rows.append((*place, *_similarity(a, b), *_similarity(a - c, b - c)))
    return rows


def _moved(base: Baseline, plan: InterventionPlan, changes: Sequence[Changes]) -> list[list[Tensor]]:
    """Change of what each layer reads and, last, of the logits, for every perturbation. -> [n][l + 1]."""
    found: list[list[Tensor]] = []
    for result in run(base, plan, changes):
        moved = [*(result.inputs - base.run.mlp_input).double()]
        logits = (result.logits - result.logits_before).double()
        found.append([*moved, logits - logits.mean(-1, keepdim=True)])
    return found


def _similarity(found: Tensor, expected: Tensor) -> tuple[float, float]:
    """Cosine of two changes, and |difference|^2 / |expected|^2; nan where nothing is expected."""
    size = expected.square().sum()
    if not bool(size > 0):
        return float("nan"), float("nan")
    cosine = (found * expected).sum() / (found.norm() * size.sqrt()).clamp_min(1e-300)
    return float(cosine), float((found - expected).square().sum() / size)
