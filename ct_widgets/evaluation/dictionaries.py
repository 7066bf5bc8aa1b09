"""Dictionaries side by side on the same texts: how sparse, how exact, and what is left of the model's predictions.

A dictionary is measured as it is and with features that write little left out (`Transcoder.above`), which draws a curve
of sparsity against quality for each; a model's own neurons are only sparse that way [CT25, "Evaluating"].
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
from ct_widgets.progress import Progress
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
_SAMPLE = 2048  # tokens from which the sizes of a sweep are read
_HALVINGS = 12


@dataclass(frozen=True, eq=False)
class Measured:
    """One dictionary at one point of its sweep; `size` is 0 for the dictionary as it is."""

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
    """A dictionary at one point of its sweep, before it is measured."""

    name: str
    size: float
    transcoder: Transcoder


def cut(model: LanguageModel, rows: Sequence[Row]) -> list[Rows]:
    """Rows in batches that a model with this vocabulary can answer at once."""
    return list(batches(rows, max(256, min(4096, _LOGITS // model.d_vocab))))


def sweep_of(model: LanguageModel, name: str, transcoder: Transcoder, parts: Sequence[Rows]) -> list[Variant]:
    """The dictionary as it is, then at L0 / 2, L0 / 4, ..., down to one active feature per layer and token."""
    sizes = _sizes(model, transcoder, parts)
    return [Variant(name, 0.0, transcoder), *(Variant(name, size, transcoder.above(size)) for size in sizes)]


def measure(model: LanguageModel, variants: Sequence[Variant], parts: Sequence[Rows], bar: Progress) -> list[Measured]:
    """Every variant on the same texts; `bar` counts variants times parts."""
    found: list[tuple[DictionaryMetrics, ReplacementMetrics]] = []
    for part in parts:
        for place, new in enumerate(_measure_part(model, [variant.transcoder for variant in variants], part)):
            if place == len(found):
                found.append(new)
            else:
                dictionary, replacement = found[place]
                found[place] = (dictionary + new[0], replacement + new[1])
            bar.advance()
    return [Measured(*variant, *metrics) for variant, metrics in zip(variants, found, strict=True)]


def _measure_part(
    model: LanguageModel, transcoders: Sequence[Transcoder], rows: Rows
) -> Iterator[tuple[DictionaryMetrics, ReplacementMetrics]]:
    """Metrics of each transcoder on one batch; the model itself runs once for all."""
    ids, read, predicted = (torch.from_numpy(column).to(model.device) for column in rows)
    predicted = predicted[:, 1:]
    names = [name for transcoder in transcoders for names in _points(model, transcoder) for name in names]
    logits, kept = model.run(ids, dict.fromkeys(names))
    own, answer = logits[:, :-1][predicted], ids[:, 1:][predicted]
    without = ablated_logits(TranscodedModel(model, transcoders[0]), ids)[:, :-1][predicted]
    for transcoder in transcoders:
        points = _points(model, transcoder)
        x, y = (torch.stack([kept[name][read] for name in names]).float() for names in points)
        replaced = replacement_logits(TranscodedModel(model, transcoder), ids)[:, :-1][predicted]
        yield dictionary_metrics(transcoder, [Activations(x, y)]), _compare(own, replaced, without, answer)


def _points(model: LanguageModel, transcoder: Transcoder) -> tuple[list[str], list[str]]:
    """Hooks where each layer is read, and where each is written."""
    return model.hook_names(transcoder.feature_input_hook), model.hook_names(transcoder.feature_output_hook)


def _compare(own: Tensor, replaced: Tensor, without: Tensor, answer: Tensor) -> ReplacementMetrics:
    runs = [tensor.split(_PREDICTIONS) for tensor in (own, replaced, without, answer)]
    first, *rest = (compare_logits(*some) for some in zip(*runs, strict=True))
    return sum(rest, start=first)


def _sizes(model: LanguageModel, transcoder: Transcoder, parts: Sequence[Rows]) -> list[float]:
    """What features must write at least for L0 / 2, L0 / 4, ... active features, at least one per layer and token."""
    if transcoder.activation == "topk":
        return []
    written = _written(model, transcoder, parts)
    n = written.shape[0]
    written = written[written > 0].sort(descending=True).values
    lengths = [len(written) // 2**k for k in range(1, _HALVINGS)]
    return [float(written[length]) for length in lengths if length >= n * transcoder.n_layers]


@torch.no_grad()
def _written(model: LanguageModel, transcoder: Transcoder, parts: Sequence[Rows]) -> Tensor:
    """|a_i| ||W_dec,i|| of all features on the first tokens. -> [n, all f]."""
    points = model.hook_names(transcoder.feature_input_hook)
    found: list[Tensor] = []
    for rows in parts[:: max(1, len(parts) // 4)]:  # texts of every length
        read = torch.from_numpy(rows.read).to(model.device)
        kept = model.activations(torch.from_numpy(rows.ids).to(model.device), points)
        x = [kept[name][read][: _SAMPLE // 4] for name in points]
        a = [transcoder.encode(layer, at).abs() * transcoder.decoder_norms[layer] for layer, at in enumerate(x)]
        found.append(torch.cat(a, dim=-1))
    return torch.cat(found)


def dictionaries_table(measured: Sequence[Measured]) -> pd.DataFrame:
    """One row per dictionary and point of its sweep."""
    import pandas as pd

    return pd.DataFrame(
        {
            "dictionary": one.name,
            "size": one.size,
            "features": sum(map(len, one.dictionary.density)),
            "l0": one.l0,
            "normalised_mse": one.dictionary.overall_mse,
            "dead": one.dictionary.overall_dead,
            "agreement": one.replacement.top1_agreement,
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
    """The dictionaries as they are, layer by layer."""
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
    """Histogram of log10 density (share of tokens on which a feature is active), without dead features."""
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
