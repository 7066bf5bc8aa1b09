"""Does what a graph calls influential matter to the model? Features are ablated and the effects compared.

A feature is set to 0 by constrained patching from its own layer to one that is so many layers `above` it: inside that
range only direct effects are felt, above it the model's own MLPs respond. Attention patterns are frozen, norms live.
Ranks are compared, for influence is a share of paths and not an amount [CT25, "Evaluating"].
Axes: n feature node, t target, s source, p position, v vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import kl_div

from ct_widgets.errors import GraphError
from ct_widgets.graph import AttributionGraph
from ct_widgets.graph.influence import influence_of
from ct_widgets.interventions import Baseline, Intervention, InterventionResult, make_plan, resolve, run
from ct_widgets.progress import SILENT, Progress
from ct_widgets.transcoded_model import TranscodedModel

if TYPE_CHECKING:
    import pandas as pd

Ints = npt.NDArray[np.int64]

_TOGETHER = 32  # ablations in one pass
_CLOSE = 0.02  # relative difference of activations that rounding explains, in half precision too


@dataclass(frozen=True, eq=False)
class Ablation:
    """Ablations of features of one graph.

    features: one row per feature and range: layer, position, index, `above` (layers above its own that are clamped),
    influence, direct (probability-weighted |edge| to the logits), activation, and kl, KL(model || ablated) in nats.
    pairs: one row per ablated feature and other feature that it can reach: source, target (rows of graph.nodes),
    influence, change (|change of activation| / activation) and knock_on, False where the edge alone decides. Their
    ranges end at the source's own layer.
    """

    features: pd.DataFrame
    pairs: pd.DataFrame


def ablate(
    model: TranscodedModel, graph: AttributionGraph, *, max_features: int, seed: int = 0, progress: Progress = SILENT
) -> Ablation:
    """Ablate the features of a graph, or `max_features` random ones if it has more. `progress` counts ablations.

    Raises GraphError for a graph of another model or transcoder.

    >>> correlations(ablate(model, graph, max_features=128))
    """
    rows = np.flatnonzero(graph.is_kind("feature"))
    with model.language_model.lock, torch.no_grad():
        base = baseline(model, graph)
        chosen = np.sort(np.random.default_rng(seed).permutation(rows)[:max_features])
        offsets = _offsets(base.n_layers)
        progress.extend(len(chosen) * len(offsets))
        layers = graph.layer[chosen].astype(np.int64)
        kl = np.zeros((len(offsets), len(chosen)))
        relative = np.full((len(chosen), graph.n_nodes), np.nan)
        for place, above in enumerate(offsets):
            for layer in np.unique(layers).tolist():
                mine = np.flatnonzero(layers == layer)
                for n, result in zip(mine, _run(base, graph, chosen[mine], layer, above), strict=True):
                    kl[place, n] = _kl(result)
                    if above == 0:
                        relative[n] = _relative_change(result, graph, rows)
                    progress.advance()
    return Ablation(_features(graph, chosen, offsets, kl), _pairs(graph, chosen, relative))


def baseline(model: TranscodedModel, graph: AttributionGraph) -> Baseline:
    """Run a graph's prompt; raises GraphError unless its features are active there as the graph says."""
    if (graph.token_ids < 0).any():
        raise GraphError("the graph's file does not hold token ids, so its prompt cannot be run; attribute it again")
    language_model, transcoder = model.language_model, model.transcoder
    base = Baseline(model, language_model.tokens(graph.token_ids.tolist()))
    features = np.flatnonzero(graph.is_kind("feature"))
    unfit = f"the graph of {graph.prompt!r} was not made with {language_model.name} and {transcoder.name}"
    for layer in np.unique(graph.layer[features]).tolist():
        rows = features[graph.layer[features] == layer]
        if layer >= base.n_layers or graph.index[rows].max() >= transcoder.n_features(layer):
            raise GraphError(unfit)
        found = base.activations(layer)[graph.position[rows], graph.index[rows]].cpu().numpy()
        expected = graph.activation[rows]
        if np.abs(found - expected).max() > _CLOSE * max(1e-6, np.abs(expected).max()):
            raise GraphError(f"{unfit}: its features have other activations there")
    return base


def _offsets(n_layers: int) -> list[int]:
    """Tell how far ranges go above a feature's layer: 0, 1, 2, 4, ... and to the last layer."""
    return [0, *(2**k for k in range(n_layers.bit_length()) if 2**k < n_layers - 1), *([n_layers - 1] * (n_layers > 1))]


def _run(base: Baseline, graph: AttributionGraph, rows: Ints, layer: int, above: int) -> Iterator[InterventionResult]:
    last = min(layer + above, base.n_layers - 1)
    plan = make_plan(
        "constrained", [layer], base.n_layers, layers=(layer, last), freeze_attention=True, freeze_norms=False
    )
    for start in range(0, len(rows), _TOGETHER):
        off = [
            resolve(
                [Intervention(layer, int(graph.position[row]), int(graph.index[row]), scale=0)],
                base.transcoder,
                base.n_positions,
            )
            for row in rows[start : start + _TOGETHER]
        ]
        yield from run(base, plan, off)


def _kl(result: InterventionResult) -> float:
    before, after = (logits[-1].double().log_softmax(-1) for logits in (result.logits_before, result.logits))
    return float(kl_div(after, before, log_target=True, reduction="sum"))


def _relative_change(result: InterventionResult, graph: AttributionGraph, rows: Ints) -> npt.NDArray[np.float64]:
    """|change| / |activation| of the graph's features in the layers above, nan elsewhere. -> [n]."""
    (layer,) = result.changes.layers
    first = result.changes.first_position
    relative = np.full(graph.n_nodes, np.nan)
    reached = rows[(graph.layer[rows] > layer) & (graph.position[rows] >= first)]
    for m in np.unique(graph.layer[reached]).tolist():
        here = reached[graph.layer[reached] == m]
        after: Tensor = result.baseline.transcoder.encode(m, result.inputs[m, first:])
        before = result.baseline.activations(m)[first:]
        at = (graph.position[here] - first, graph.index[here])
        relative[here] = ((after[at] - before[at]).abs() / before[at].abs()).cpu().numpy()
    return relative


def _features(
    graph: AttributionGraph, chosen: Ints, offsets: Sequence[int], kl: npt.NDArray[np.float64]
) -> pd.DataFrame:
    import pandas as pd

    p = graph.output_weight
    direct = np.zeros(graph.n_nodes)
    for logit in np.flatnonzero(graph.is_kind("logit")).tolist():
        edges = graph.adjacency.row(logit)
        direct[graph.source[edges]] += p[logit] * np.abs(graph.weight[edges])
    columns = {
        "node": chosen,
        "layer": graph.layer[chosen],
        "position": graph.position[chosen],
        "index": graph.index[chosen],
        "influence": graph.influence[chosen],
        "direct": direct[chosen],
        "activation": np.abs(graph.activation[chosen]),
    }
    tables = [pd.DataFrame({**columns, "above": above, "kl": kl[place]}) for place, above in enumerate(offsets)]
    return pd.concat(tables, ignore_index=True)


def _pairs(graph: AttributionGraph, chosen: Ints, relative: npt.NDArray[np.float64]) -> pd.DataFrame:
    import pandas as pd

    reached = influence_of(graph.adjacency, graph.row_total, chosen.tolist()).T  # [s, t]
    source, target = np.nonzero(np.isfinite(relative) & (reached > 0))
    return pd.DataFrame(
        {
            "source": chosen[source],
            "target": target,
            "influence": reached[source, target],
            "change": relative[source, target],
            "knock_on": graph.layer[target] > graph.layer[chosen[source]] + 1,
        }
    )


def correlations(found: Ablation) -> pd.DataFrame:
    """Compute Spearman's rank correlations, one row per comparison: what, above, n, correlation.

    Of a feature's influence, direct edge and activation with the effect (KL) of ablating it; of the influence between
    two features with the relative change, for all pairs and for those that are more than one layer apart.
    """
    import pandas as pd

    rows: list[tuple[str, int, int, float]] = []
    for above in sorted({0, *found.features["above"]}):
        table = found.features[found.features["above"] == above]
        rows += [
            (what, above, len(table), _spearman(table[what], table["kl"]))
            for what in ("influence", "direct", "activation")
        ]
    for what, table in (("feature to feature", found.pairs), ("knock-on", found.pairs[found.pairs["knock_on"]])):
        rows.append((what, 0, len(table), _spearman(table["influence"], table["change"])))
    return pd.DataFrame(rows, columns=["what", "above", "n", "correlation"])


def _spearman(a: pd.Series, b: pd.Series) -> float:
    """Spearman's rank correlation; nan where there is nothing to rank."""
    from scipy.stats import spearmanr

    if a.nunique() < 2 or b.nunique() < 2:
        return float("nan")
    return float(spearmanr(a, b).statistic)  # pyright: ignore[reportAttributeAccessIssue]  (scipy's stub lacks it)
