"""Features by text: their labels, the tokens they are active on, and the tokens they promote.

Axes: f feature of one layer, g feature over all layers, d model, e example.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from ct_widgets.errors import FeatureError
from ct_widgets.feature_name import FeatureName

if TYPE_CHECKING:
    from ct_widgets.features.catalog import Features

_LABEL, _PEAK, _NEXT, _CONTEXT, _PROMOTED = 4.0, 2.0, 1.0, 0.5, 1.0
"""What a find is worth: in the label, as the token of the peak, as the next one, elsewhere in the example, promoted."""

Scores = npt.NDArray[np.float64]


def search(features: Features, query: str, k: int) -> pd.DataFrame:
    """The `k` features that fit `query` best; see `Features.search`."""
    wanted = query.strip().casefold()
    if not wanted:
        raise FeatureError("nothing to search for; give a word, or part of one")
    scores = _Scores(features, wanted)
    total = scores.total()
    best = np.flatnonzero(total > 0)
    best = best[np.argsort(-total[best], kind="stable")][:k]
    found = [features[scores.place(int(g))] for g in best]
    return pd.DataFrame(
        {
            "layer": [feature.layer for feature in found],
            "index": [feature.index for feature in found],
            "label": [feature.label or (f"{g.text} (automatic)" if (g := feature.guess) else "") for feature in found],
            "score": total[best],
            "found": [scores.where(int(g)) for g in best],
        }
    )


class _Scores:
    """Parts of the score of every feature, [g]."""

    def __init__(self, features: Features, wanted: str) -> None:
        self._features = features
        self._wanted = wanted
        self._sizes = features.n_features
        self._first = np.cumsum([0, *self._sizes])
        vocabulary = features.vocabulary
        texts = (vocabulary.text(i).strip().casefold() for i in range(len(vocabulary)))
        self._ids = np.array([i for i, text in enumerate(texts) if wanted in text.split() or text == wanted], np.int64)
        self.parts: dict[str, Scores] = {"promoted tokens": _PROMOTED * self._promoted()}
        if features.store is not None:
            self.parts |= {"label": self._labels(), **self._examples()}

    def place(self, g: int) -> tuple[int, int]:
        layer = int(np.searchsorted(self._first, g, side="right")) - 1
        return layer, g - int(self._first[layer])

    def total(self) -> Scores:
        return np.sum(list(self.parts.values()), axis=0)

    def where(self, g: int) -> str:
        """Which parts of the score count for a feature, the largest first."""
        named = sorted(((part[g], name) for name, part in self.parts.items() if part[g] > 0), reverse=True)
        return ", ".join(name for _, name in named)

    def _promoted(self) -> Scores:
        """How far the token stands out of what a feature promotes: from 0 at three standard deviations to 1 at ten."""
        if not len(self._ids):
            return np.zeros(int(self._first[-1]))
        directions = self._features.directions
        return np.concatenate(
            [np.clip((directions.standing_out(layer, self._ids) - 3) / 7, 0, 1) for layer in range(len(self._sizes))]
        )

    def _labels(self) -> Scores:
        scores = np.zeros(int(self._first[-1]))
        store = self._features.store
        assert store is not None
        for name, text in store.labels.items():
            if self._wanted in text.casefold():
                scores[store.number(*FeatureName.parse(name))] = _LABEL
        return scores

    def _examples(self) -> dict[str, Scores]:
        """By the share of each feature's examples with the text at their peak, behind it, and elsewhere."""
        store = self._features.store
        assert store is not None
        file = store.arrays()
        starts = file["token_start"].astype(np.int64)
        hit = np.append(np.isin(file["tokens"], self._ids), False)
        running = np.concatenate([[0], np.cumsum(hit[:-1])])
        peak = starts[:-1] + file["peak"]
        at_peak = hit[peak]
        at_next = hit[peak + 1] & (peak + 1 < starts[1:]) & ~at_peak
        elsewhere = (running[starts[1:]] > running[starts[:-1]]) & ~at_peak & ~at_next
        n = np.diff(file["example_start"].astype(np.int64))
        owner = np.repeat(np.arange(len(n)), n)

        def share(mask: npt.NDArray[np.bool_]) -> Scores:
            return np.bincount(owner, mask, len(n)) / np.maximum(n, 1)

        return {
            "peak of examples": _PEAK * share(at_peak),
            "after peak of examples": _NEXT * share(at_next),
            "text of examples": _CONTEXT * share(elsewhere),
        }
