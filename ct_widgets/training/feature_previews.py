"""Previews of a few features of a transcoder that is still being trained, on held-out text."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch.distributed as dist

from ct_widgets.feature_name import FeatureName
from ct_widgets.features import Features, FeatureStore, collect_features
from ct_widgets.language_model import LanguageModel
from ct_widgets.training.activations import Sequences
from ct_widgets.transcoded_model import TranscodedModel
from ct_widgets.transcoders import Transcoder

_MAX_FEATURES = 3
_EXAMPLES = 4
_MAX_DENSITY = 0.1
"""A feature that is active on a larger share of the tokens says little on a small card."""


class FeaturePreviews:
    """Cards of a few features, which stay the same over a run, so that one sees them emerge.

    They are chosen at the first call, one in each of three layers: the strongest that is not active everywhere. One
    that has died is replaced by another.
    """

    def __init__(self, model: LanguageModel, held_out: list[Sequences]) -> None:
        self._model = model
        self._texts = [row[: int(keep.nonzero()[0].max()) + 1] for s in held_out for row, keep in zip(*s, strict=True)]
        self._chosen: list[tuple[int, int]] = []

    def __call__(self, transcoder: Transcoder) -> list[dict[str, Any]]:
        """Collect their cards, as JSON values."""
        if dist.is_available() and dist.is_initialized():
            return []  # a collection is the work of all processes, and callbacks run in this one alone
        with TemporaryDirectory() as folder:
            model = TranscodedModel(self._model, transcoder)
            texts = [row.tolist() for row in self._texts]
            store = collect_features(model, texts, Path(folder) / "features", top=_EXAMPLES, sample=0, progress=False)
            self._choose(store)
            features = Features(model, store)
            return [features.card(str(FeatureName(layer, index))) | {"missing": ""} for layer, index in self._chosen]

    def _choose(self, store: FeatureStore) -> None:
        counts, maxima = store.column("count"), store.column("maximum")
        n_layers = len(store.n_features)
        layers = np.unique(np.linspace(0, n_layers - 1, _MAX_FEATURES).round().astype(int)).tolist()
        alive = {layer: index for layer, index in self._chosen if counts[store.number(layer, index)]}
        self._chosen = []
        for layer in layers:
            first = store.number(layer, 0)
            mine = slice(first, first + store.n_features[layer])
            is_rare = counts[mine] <= _MAX_DENSITY * store.n_tokens
            strongest = int(np.argmax(np.where(is_rare, maxima[mine], 0)))
            self._chosen.append((layer, alive.get(layer, strongest)))
