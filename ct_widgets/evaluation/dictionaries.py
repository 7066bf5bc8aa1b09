"""Dictionaries side by side on the same texts: how sparse, how exact, and what is left of the model's predictions.

A dictionary is measured as it is and with features that write little left out (`Transcoder.with_min_output_norm`),
which draws a curve of sparsity against quality for each; a model's own neurons are only sparse that way [CT25,
"Evaluating"].
Axes: l layer, s text, p position, n token, f feature.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ct_widgets.evaluation.texts import Row, Rows, batches
from ct_widgets.language_model import LanguageModel
from ct_widgets.progress import SILENT, Progress
from ct_widgets.training import (
    Activations,
    DictionaryMetrics,
    ReplacementMetrics,
    ablated_logits,
    compare_logits,
    dictionary_metrics,
    replacement_logits,
)
from ct_widgets.transcoded_model import TranscodedModel
from ct_widgets.transcoders import Transcoder

if TYPE_CHECKING:
    import pandas as pd

_LOGITS = 2**26  # numbers that one batch of logits may hold
_PREDICTIONS = 512  # compared at once, in double precision
_SAMPLE = 2048  # tokens from which the sizes of a sparsity curve are read
_HALVINGS = 12


@dataclass(frozen=True, eq=False)
class Measured:
    """One dictionary at one point of its sparsity curve; `size` is 0 for the dictionary as it is."""

    name: str
    size: float
    transcoder: Transcoder
    dictionary: DictionaryMetrics
    replacement: ReplacementMetrics

    @property
    def l0(self) -> float:
        """Active features per token, over all layers."""
        return float(self.dictionary.l0.sum())


class Variant(NamedTuple):
    """A dictionary at one point of its sparsity curve, before it is measured."""

    name: str
    size: float
    transcoder: Transcoder


def cut(model: LanguageModel, rows: Sequence[Row]) -> list[Rows]:
    """Cut rows into batches that a model with this vocabulary can answer at once."""
    return list(batches(rows, max(256, min(4096, _LOGITS // model.d_vocab))))


def sparsity_variants(model: TranscodedModel, name: str, parts: Sequence[Rows]) -> list[Variant]:
    """Make the dictionary sparser: as it is, then at L0 / 2, L0 / 4, ..., to one active feature per layer and token.

    parts: texts from which the activations are read, see `cut`.

    >>> measure(model, sparsity_variants(model, "CLT", parts), parts)
    """
    t = model.transcoder
    sizes = _sizes(model, parts)
    return [Variant(name, 0.0, t), *(Variant(name, size, t.with_min_output_norm(size)) for size in sizes)]


def measure(
    model: TranscodedModel, variants: Sequence[Variant], parts: Sequence[Rows], *, progress: Progress = SILENT
) -> list[Measured]:
    """Measure every variant on the same texts; `progress` counts variants times parts.

    >>> measure(model, [Variant("CLT", 0.0, model.transcoder)], parts)[0].l0
    """
    found: list[tuple[DictionaryMetrics, ReplacementMetrics]] = []
    for part in parts:
        for place, new in enumerate(_measure_part(model, [variant.transcoder for variant in variants], part)):
            if place == len(found):
                found.append(new)
            else:
                dictionary, replacement = found[place]
                found[place] = (dictionary + new[0], replacement + new[1])
            progress.advance()
    return [Measured(*variant, *metrics) for variant, metrics in zip(variants, found, strict=True)]


def _measure_part(
    model: TranscodedModel, transcoders: Sequence[Transcoder], rows: Rows
) -> Iterator[tuple[DictionaryMetrics, ReplacementMetrics]]:
    """Metrics of each transcoder on one batch; the model itself runs once for all."""
    lm = model.language_model
    ids, read, predicted = (torch.from_numpy(column).to(lm.device) for column in rows)
    predicted = predicted[:, 1:]
    names = [name for transcoder in transcoders for names in _points(lm, transcoder) for name in names]
    logits, kept = lm.run(ids, dict.fromkeys(names))
    own, answer = logits[:, :-1][predicted], ids[:, 1:][predicted]
    without = ablated_logits(model, ids)[:, :-1][predicted]
    for transcoder in transcoders:
        x, y = (torch.stack([kept[name][read] for name in names]).float() for names in _points(lm, transcoder))
        replaced = replacement_logits(model.with_transcoder(transcoder), ids)[:, :-1][predicted]
        yield dictionary_metrics(transcoder, [Activations(x, y)]), _compare(own, replaced, without, answer)


def _points(model: LanguageModel, transcoder: Transcoder) -> tuple[list[str], list[str]]:
    """Hooks where each layer is read, and where each is written."""
    return model.hook_names(transcoder.feature_input_hook), model.hook_names(transcoder.feature_output_hook)


def _compare(own: Tensor, replaced: Tensor, without: Tensor, answer: Tensor) -> ReplacementMetrics:
    runs = [tensor.split(_PREDICTIONS) for tensor in (own, replaced, without, answer)]
    first, *rest = (compare_logits(*some) for some in zip(*runs, strict=True))
    return sum(rest, start=first)


def _sizes(model: TranscodedModel, parts: Sequence[Rows]) -> list[float]:
    """Least output norms of features for L0 / 2, L0 / 4, ... active features, at least one per layer and token."""
    if model.transcoder.activation == "topk":
        return []
    written = _written(model, parts)
    n = written.shape[0]
    written = written[written > 0].sort(descending=True).values
    lengths = [len(written) // 2**k for k in range(1, _HALVINGS)]
    return [float(written[length]) for length in lengths if length >= n * model.transcoder.n_layers]


@torch.no_grad()
def _written(model: TranscodedModel, parts: Sequence[Rows]) -> Tensor:
    """|a_i| ||W_dec,i|| of all features on the first tokens. -> [n, all f]."""
    lm, transcoder = model.language_model, model.transcoder
    points = lm.hook_names(transcoder.feature_input_hook)
    found: list[Tensor] = []
    for rows in parts[:: max(1, len(parts) // 4)]:  # texts of every length
        read = torch.from_numpy(rows.read).to(lm.device)
        kept = lm.activations(torch.from_numpy(rows.ids).to(lm.device), points)
        x = [kept[name][read][: _SAMPLE // 4] for name in points]
        a = [transcoder.encode(layer, at).abs() * transcoder.decoder_norms[layer] for layer, at in enumerate(x)]
        found.append(torch.cat(a, dim=-1))
    return torch.cat(found)


def dictionaries_table(measured: Sequence[Measured]) -> pd.DataFrame:
    """Make a table with one row per dictionary and point of its sparsity curve."""
    import pandas as pd

    return pd.DataFrame(
        {
            "dictionary": one.name,
            "size": one.size,
            "features": sum(map(len, one.dictionary.density)),
            "l0": one.l0,
            "normalised_mse": one.dictionary.overall_mse,
            "dead": one.dictionary.overall_dead,
            "top1_agreement": one.replacement.top1_agreement,
            "kl": one.replacement.kl,
            "recovered": one.replacement.recovered,
            "cross_entropy": one.replacement.replacement_cross_entropy,
            "model_cross_entropy": one.replacement.model_cross_entropy,
            "ablated_cross_entropy": one.replacement.ablated_cross_entropy,
            "tokens": one.dictionary.n_tokens,
            "predictions": one.replacement.n_tokens,
        }
        for one in measured
    )


def layers_table(measured: Sequence[Measured]) -> pd.DataFrame:
    """Make a table of the dictionaries as they are, layer by layer."""
    import pandas as pd

    return pd.DataFrame(
        {
            "dictionary": one.name,
            "layer": layer,
            "l0": one.dictionary.l0[layer],
            "normalised_mse": one.dictionary.normalised_mse[layer],
            "dead": one.dictionary.dead[layer],
        }
        for one in measured
        if not one.size
        for layer in range(len(one.dictionary.l0))
    )


DENSITY_EDGES = np.linspace(-6, 0, 25)
"""Edges of the bins of `density_table`, log10 of a feature's density."""


def density_table(measured: Sequence[Measured]) -> pd.DataFrame:
    """Make histograms of log10 density (share of tokens on which a feature is active), without dead features."""
    import pandas as pd

    tables: list[pd.DataFrame] = []
    for one in measured:
        if one.size:
            continue
        density = np.concatenate(one.dictionary.density)
        share = np.histogram(np.log10(density[density > 0]), DENSITY_EDGES)[0] / len(density)
        middle = (DENSITY_EDGES[1:] + DENSITY_EDGES[:-1]) / 2
        tables.append(pd.DataFrame({"dictionary": one.name, "log10_density": middle, "share": share}))
    return pd.concat(tables, ignore_index=True)
