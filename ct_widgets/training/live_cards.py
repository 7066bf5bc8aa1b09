"""What a few features of a transcoder that is still being trained are like, on held-out text."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch.distributed as dist

from ct_widgets.feature_name import FeatureName
from ct_widgets.features import Features, FeatureStore, collect_features
from ct_widgets.language_model import LanguageModel
from ct_widgets.replacement_model import ReplacementModel
from ct_widgets.training.activations import Sequences
from ct_widgets.transcoders import Transcoder

MOST_CARDS = 3
_EXAMPLES = 4
_DENSEST = 0.1
"""A feature that is active on more of the tokens than this says little on a small card."""


class LiveCards:
    """Cards of the same features each time, so that one sees them become what they are.

    They are chosen when first asked for, one in each of three layers: the strongest that is not always active. One that
    has died gives its place to another.
    """

    def __init__(self, model: LanguageModel, held_out: list[Sequences]) -> None:
        self._model = model
        self._texts = [row[: int(keep.nonzero()[0].max()) + 1] for s in held_out for row, keep in zip(*s, strict=True)]
        self._chosen: list[tuple[int, int]] = []

    def __call__(self, transcoder: Transcoder) -> list[dict[str, Any]]:
        """What a card shows of each, as JSON values."""
        if dist.is_available() and dist.is_initialized():
            return []  # a collection is the work of all processes, and only this one is watched
        with TemporaryDirectory() as folder:
            model = ReplacementModel(self._model, transcoder)
            texts = [row.tolist() for row in self._texts]
            store = collect_features(model, texts, Path(folder) / "features", top=_EXAMPLES, sample=0, progress=False)
            self._choose(store)
            features = Features(model, store)
            return [features.card(str(FeatureName(layer, index))) | {"missing": ""} for layer, index in self._chosen]

    def _choose(self, store: FeatureStore) -> None:
        counts, maxima = store.column("count"), store.column("maximum")
        n_layers = len(store.n_features)
        layers = np.unique(np.linspace(0, n_layers - 1, MOST_CARDS).round().astype(int)).tolist()
        alive = {layer: index for layer, index in self._chosen if counts[store.number(layer, index)]}
        self._chosen = []
        for layer in layers:
            first = store.number(layer, 0)
            mine = slice(first, first + store.n_features[layer])
            is_rare = counts[mine] <= _DENSEST * store.n_tokens
            strongest = int(np.argmax(np.where(is_rare, maxima[mine], 0)))
            self._chosen.append((layer, alive.get(layer, strongest)))
