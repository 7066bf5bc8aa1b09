"""GlobalWeights: the strongest connections of features, as a value to look things up in and to walk through.

Axes: e pair of features.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from ct_widgets.display import view
from ct_widgets.errors import FeatureError
from ct_widgets.feature_name import FeatureLike, FeatureName
from ct_widgets.features import Features, FeatureStore
from ct_widgets.global_weights.corpus_sums import Measured, Pairs, measure, sum_corpus
from ct_widgets.global_weights.feature_set import FeatureSet
from ct_widgets.global_weights.strongest import strongest_of
from ct_widgets.language_model.corpus import Source

Array = npt.NDArray[Any]
Ranking = Literal["virtual", "era", "twera"]
RANKINGS: tuple[Ranking, ...] = get_args(Ranking)

_MIN_TOGETHER = 0.01
"""Share of its usual activation that a source has at most where the target is active, if they are never coactive."""


@dataclass(frozen=True, eq=False)
class GlobalWeights:
    """The strongest pairs of features by virtual weight, ERA and TWERA, from both ends of each pair.

    >>> weights = model.global_weights(texts)
    >>> weights.inputs("L3/12")             # what feeds it, the strongest TWERA first
    >>> weights.outputs("L0/5", by="virtual")
    >>> weights.interference()              # how much of each measure joins features that are never active together
    >>> weights.show("L3/12")               # walk from there

    Without a corpus there are virtual weights alone.
    """

    features: Features
    sources: FeatureSet
    targets: FeatureSet
    kept: Pairs
    virtual: Array
    measured: Measured | None

    def __len__(self) -> int:
        return len(self.virtual)

    @property
    def rankings(self) -> tuple[Ranking, ...]:
        """The measures that there are, the one that tells most last."""
        return RANKINGS if self.measured is not None else RANKINGS[:1]

    @cached_property
    def never_coactive(self) -> npt.NDArray[np.bool_]:
        """Pairs that are never active at the same token, [e]: their virtual weight is interference.

        A feature that is never active at all says nothing about its pairs.
        """
        return np.zeros(len(self), np.bool_) if self.measured is None else self.measured.together < _MIN_TOGETHER

    @property
    def pairs(self) -> pd.DataFrame:
        """All pairs as a table: source, target, virtual, and with a corpus era, twera, together and interference.

        together: mean activation of the source where the target is active, as a share of its mean where it is active
        itself. interference: whether that is below 1 %.
        """
        return self._table(np.arange(len(self)), ("source", "target"))

    def inputs(self, feature: FeatureLike, k: int = 10, *, by: Ranking | None = None) -> pd.DataFrame:
        """List the strongest inputs of a feature, columns as of `pairs`.

        by: "twera", by default where there is a corpus, "era" or "virtual".
        Raises FeatureError for a feature that is not among the targets.

        >>> weights.inputs("L3/12")
        """
        return self._table(self.strongest(feature, "inputs", by)[:k], ("source",))

    def outputs(self, feature: FeatureLike, k: int = 10, *, by: Ranking | None = None) -> pd.DataFrame:
        """List the strongest outputs of a feature, columns as of `pairs`.

        by: "twera", by default where there is a corpus, "era" or "virtual".
        Raises FeatureError for a feature that is not among the sources.

        >>> weights.outputs("L0/5", by="virtual")
        """
        return self._table(self.strongest(feature, "outputs", by)[:k], ("target",))

    def strongest(
        self, feature: FeatureLike, direction: Literal["inputs", "outputs"], by: Ranking | None = None
    ) -> Array:
        """Return the numbers of the kept pairs that a feature is the target or source of, the strongest first."""
        name = FeatureName.of(feature)
        number = name.number(self.sources.n_features)
        chosen, end, what = (
            (self.targets, self.kept.target, "targets")
            if direction == "inputs"
            else (self.sources, self.kept.source, "sources")
        )
        if number not in chosen.number:
            raise FeatureError(
                f"{name} is not among the {len(chosen):,} {what} of these weights; "
                f"compute them again with {what}=[...] that hold it"
            )
        mine = np.flatnonzero(end == number)
        size = np.abs(np.nan_to_num(self.measure(by)[mine]))
        order = np.argsort(-size, kind="stable")
        return mine[order][size[order] > 0]

    def measure(self, by: Ranking | None = None) -> Array:
        """Return one measure of all pairs, [e]. Raises FeatureError for one that needs a corpus and has none."""
        by = by or self.rankings[-1]
        if by not in RANKINGS:
            raise FeatureError(f"{by!r} is not a measure of global weights: expected one of {', '.join(RANKINGS)}")
        if by == "virtual":
            return self.virtual
        if self.measured is None:
            raise FeatureError(f"{by} needs statistics of a corpus: model.global_weights(texts)")
        return self.measured.era if by == "era" else self.measured.twera

    def with_corpus(self, corpus: FeatureStore | Source, *, progress: bool | None = None) -> GlobalWeights:
        """Measure these pairs on another corpus; takes the place of the statistics that there are.

        >>> model.global_weights(texts).with_corpus(other_texts)
        """
        sums = sum_corpus(self.features.model, corpus, self.sources, self.targets, progress=progress)
        return replace(self, measured=measure(sums, self.kept, self.virtual))

    def interference(self, k: int = 10, *, judge: GlobalWeights | None = None) -> pd.DataFrame:
        """Measure by each ranking how many of the `k` strongest inputs of a target are never active with it.

        judge: these weights `with_corpus` another, which then says what is active together; a ranking that was made
        with the same statistics would know. Columns: pairs (that the judge knows), interference (share of the pairs),
        weight (share of the summed size of the measure).

        >>> weights.interference(judge=weights.with_corpus(other_texts))
        """
        judged = judge or self
        if judged.measured is None:
            raise FeatureError("interference needs statistics of a corpus: model.global_weights(texts)")
        known = ~np.isnan(judged.measured.together)
        rows: dict[str, dict[str, float]] = {}
        for by in self.rankings:
            size = np.abs(np.nan_to_num(self.measure(by)))
            chosen = strongest_of(self.kept.target, size, k)
            chosen = chosen[known[chosen]]
            never, size = judged.never_coactive[chosen], size[chosen]
            rows[by] = {
                "pairs": len(chosen),
                "interference": float(never.mean()) if len(chosen) else np.nan,
                "weight": float(size[never].sum() / size.sum()) if len(chosen) else np.nan,
            }
        return pd.DataFrame.from_dict(rows, orient="index").astype({"pairs": int})

    def show(self, feature: FeatureLike | None = None, **state: Any) -> Any:
        """Show a GlobalWeightsWidget that starts at `feature`; `state` are its settings."""
        return view("global weights")(self, feature, **state)

    def first_feature(self, by: Ranking) -> str:
        """Return the name of the target of the strongest connection, where a walk may begin."""
        if not len(self):
            raise FeatureError("these weights hold no connection; name sources in layers below those of the targets")
        return self.name(int(self.kept.target[np.argmax(np.abs(np.nan_to_num(self.measure(by))))]))

    def name(self, number: int) -> str:
        """Return the name of the feature of this number."""
        return str(FeatureName.of_number(number, self.sources.n_features))

    def _table(self, chosen: Array, ends: tuple[str, ...]) -> pd.DataFrame:
        columns: dict[str, Any] = {}
        for end in ends:
            names = [self.name(int(number)) for number in getattr(self.kept, end)[chosen]]
            columns[end] = names
            if len(ends) == 1:
                columns["label"] = list(self._labels(names))
        columns["virtual"] = self.virtual[chosen]
        if self.measured is not None:
            for name in ("era", "twera", "together"):
                columns[name] = getattr(self.measured, name)[chosen]
            columns["interference"] = self.never_coactive[chosen]
        return pd.DataFrame(columns)

    def _labels(self, names: list[str]) -> Iterator[str]:
        """Labels, or automatic ones where nobody gave one."""
        for name in names:
            feature = self.features[name]
            auto = None if feature.label else feature.auto_label
            yield auto.text if auto is not None else feature.label

    def __repr__(self) -> str:
        corpus = "no corpus" if self.measured is None else f"{self.measured.n_tokens:,} tokens"
        name = self.features.model.transcoder.name
        return (
            f"<GlobalWeights of {name}: {len(self):,} pairs of {len(self.sources):,} sources and "
            f"{len(self.targets):,} targets, {corpus}>"
        )
