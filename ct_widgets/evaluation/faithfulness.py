"""Does the local replacement model respond as the model does? Both are pushed at one place of the residual stream.

One position between two blocks is moved (i) along the encoder of a feature that is active above it, by what adds 0.1 to
its activation, (ii) in a random direction by as much, (iii) along what a feature below it writes, by as much. Attention
patterns are frozen in both; features respond in the one, MLPs and norms in the other [CT25, "Evaluating"].
Axes: n push, l (m) layer, p position, d model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ct_widgets.evaluation.ablation import baseline
from ct_widgets.graph import AttributionGraph
from ct_widgets.interventions import Intervention
from ct_widgets.interventions.baseline import Baseline
from ct_widgets.interventions.intervene import run
from ct_widgets.interventions.intervention import Changes, resolve
from ct_widgets.interventions.plan import Plan, make_plan
from ct_widgets.language_model import LanguageModel
from ct_widgets.progress import Progress
from ct_widgets.transcoders import Transcoder

if TYPE_CHECKING:
    import pandas as pd

ADDED = 0.1
KINDS = ("encoder", "random", "upstream")
AGREEMENT = ("cosine", "normalised_mse", "cosine_mlps", "normalised_mse_mlps")
COLUMNS = ("kind", "layer", "position", "on", *AGREEMENT)
_TOGETHER = 32


class Push(NamedTuple):
    """A vector [d] added to the residual stream before block `layer` at one position."""

    kind: str
    layer: int
    position: int
    vector: Tensor


def faithfulness(
    model: LanguageModel, transcoder: Transcoder, graph: AttributionGraph, bar: Progress, *, per_layer: int, seed: int
) -> pd.DataFrame:
    """One row per push and layer that reads after it: kind, layer, position, `on` (layers above the push), and the
    change in the local replacement model against that in the model: cosine, normalised_mse. The same with `_mlps` for
    what MLPs make of the push alone, without the part that passes them by.

    Pushes start from `per_layer` random features of the graph in each layer above the first. Layer n_layers stands for
    the residual stream's end, before the unembedding. Raises GraphError for a graph of another model or transcoder.
    """
    import pandas as pd

    with model.lock, torch.no_grad():
        base = baseline(model, transcoder, graph)
        pushes = make_pushes(base, graph, per_layer, seed)
        bar.extend(len(pushes))
        rows: list[tuple[object, ...]] = []
        for layer in range(1, base.n_layers):
            here = [push for push in pushes if push.layer == layer]
            for start in range(0, len(here), _TOGETHER):
                some = here[start : start + _TOGETHER]
                rows += _compare(base, layer, some)
                bar.advance(len(some))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def make_pushes(base: Baseline, graph: AttributionGraph, per_layer: int, seed: int) -> list[Push]:
    """The three pushes of each chosen feature; no `upstream` one where nothing below is active at its position."""
    rng = np.random.default_rng(seed)
    is_feature = graph.is_kind("feature")
    pushes: list[Push] = []
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
                pushes.append(Push(kind, layer, position, direction * scale))
    return pushes


def _adding(base: Baseline, layer: int, position: int, along: Tensor, added: float) -> Tensor | None:
    """The push along an encoder vector, seen from before the block's norm, that adds so much to its pre-activation.

    Attention of the block's own position counts: what it passes on of the push reaches the encoder too. None where
    that cancels the push.
    """
    run, known = base.run, base.model.explicit_map(base.run)
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
    """What a feature writes to the MLP outputs below `layer`, together. -> [d]."""
    own = int(graph.layer[row])
    vectors = base.transcoder.decoder_vectors(own, torch.tensor([int(graph.index[row])]))[0]
    return vectors[: layer - own].sum(0) * float(np.sign(graph.activation[row]))


def _compare(base: Baseline, layer: int, pushes: Sequence[Push]) -> list[tuple[object, ...]]:
    """Run one layer's pushes through the model, the local replacement model and attention alone. -> rows of COLUMNS."""
    n_layers, below = base.n_layers, layer - 1
    changes = [
        resolve([Intervention(below, push.position, direction=push.vector)], base.transcoder, base.n_positions)
        for push in pushes
    ]
    span = (below, n_layers - 1)
    plans = (
        make_plan("open", None, True, False, [below], n_layers),
        make_plan("iterative", span, True, True, [below], n_layers),
        make_plan("constrained", span, True, True, [below], n_layers),
    )
    real, replaced, passed = (_moved(base, plan, changes) for plan in plans)
    rows: list[tuple[object, ...]] = []
    for n, push in enumerate(pushes):
        for m in range(layer + 1, n_layers + 1):
            a, b, c = replaced[n][m], real[n][m], passed[n][m]
            place = (push.kind, layer, push.position, m - layer)
            rows.append((*place, *_agreement(a, b), *_agreement(a - c, b - c)))
    return rows


def _moved(base: Baseline, plan: Plan, changes: Sequence[Changes]) -> list[list[Tensor]]:
    """Change of what each layer reads and, last, of the logits, for every push. -> [n][l + 1]."""
    found: list[list[Tensor]] = []
    for result in run(base, plan, changes):
        moved = [*(result.inputs - base.run.mlp_input).double()]
        logits = (result.logits - result.logits_before).double()
        found.append([*moved, logits - logits.mean(-1, keepdim=True)])
    return found


def _agreement(found: Tensor, expected: Tensor) -> tuple[float, float]:
    """Cosine of two changes, and |difference|^2 / |expected|^2; nan where nothing is expected."""
    size = expected.square().sum()
    if not bool(size > 0):
        return float("nan"), float("nan")
    cosine = (found * expected).sum() / (found.norm() * size.sqrt()).clamp_min(1e-300)
    return float(cosine), float((found - expected).square().sum() / size)
