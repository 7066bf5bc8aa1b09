"""Features by text: their labels, the tokens they are active on, and the tokens they promote.

Axes: g feature, counted over all layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ct_widgets.errors import FeatureError
from ct_widgets.feature_name import FeatureName
from ct_widgets.features.directions import Directions
from ct_widgets.features.store import FeatureStore
from ct_widgets.features.vocabulary import Vocabulary

_LABEL, _PEAK, _NEXT, _CONTEXT, _PROMOTED = 4.0, 2.0, 1.0, 0.5, 1.0
"""Scores of a text in the label, as the token of the peak, as the next one, elsewhere in an example, as promoted."""

Scores = npt.NDArray[np.float64]


class Found(NamedTuple):
    """A feature that fits, how well, and by what."""

    name: FeatureName
    score: float
    where: str


def search(
    query: str,
    k: int,
    n_features: Sequence[int],
    vocabulary: Vocabulary,
    directions: Directions,
    store: FeatureStore | None,
) -> list[Found]:
    """Find the `k` features that fit `query` best, by what they promote and, with a store, by labels and examples.

    Raises FeatureError for an empty query.
    """
    wanted = query.strip().casefold()
    if not wanted:
        raise FeatureError("nothing to search for; pass a word, or part of one")
    texts = (vocabulary.text(i).strip().casefold() for i in range(len(vocabulary)))
    ids = np.array([i for i, text in enumerate(texts) if wanted in text.split() or text == wanted], np.int64)
    parts = {"promoted tokens": _PROMOTED * _promoted(directions, ids, n_features)}
    if store is not None:
        parts |= {"label": _LABEL * _labels(store, wanted), **_examples(store, ids)}
    total = np.sum(list(parts.values()), axis=0)
    best = np.flatnonzero(total > 0)
    best = best[np.argsort(-total[best], kind="stable")][:k]
    return [Found(FeatureName.of_number(g, n_features), float(total[g]), _where(parts, g)) for g in best.tolist()]


def _where(parts: Mapping[str, Scores], g: int) -> str:
    """Name the parts of the score that count for a feature, the largest first."""
    named = sorted(((part[g], name) for name, part in parts.items() if part[g] > 0), reverse=True)
    return ", ".join(name for _, name in named)


def _promoted(directions: Directions, ids: npt.NDArray[np.int64], n_features: Sequence[int]) -> Scores:
    """Score how far the tokens stand out of what a feature promotes: 0 at three standard deviations, 1 at ten. [g]."""
    if not len(ids):
        return np.zeros(sum(n_features))
    return np.concatenate(
        [np.clip((directions.standing_out(layer, ids) - 3) / 7, 0, 1) for layer in range(len(n_features))]
    )


def _labels(store: FeatureStore, wanted: str) -> Scores:
    """Mark the features whose label holds the text, [g]."""
    scores = np.zeros(sum(store.n_features))
    named = [FeatureName.parse(name) for name, text in store.labels.items() if wanted in text.casefold()]
    scores[[store.number(*name) for name in named]] = 1
    return scores


def _examples(store: FeatureStore, ids: npt.NDArray[np.int64]) -> dict[str, Scores]:
    """Score features by the share of their examples with the text at the peak, behind it, and elsewhere, [g]."""
    file = store.arrays
    starts = file["token_start"].astype(np.int64)
    hit = np.append(np.isin(file["tokens"], ids), False)
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
