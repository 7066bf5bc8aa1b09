"""Operand activations as a value: what every feature does at one position for all pairs of operands.

Numbers only, so that a view can hold it without torch. Axes: a, b operands; f feature, among those that are active
anywhere; c active cell, a feature together with a pair.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ct_widgets.arithmetic.families import classify
from ct_widgets.errors import FeatureError
from ct_widgets.feature_name import FeatureName
from ct_widgets.progress import progress_bar

if TYPE_CHECKING:
    import pandas as pd

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]

_TOLD = ("kind", "precision", "modularity", "name", "explained")
"""Fields of a Family that are columns of `families`."""


@dataclass(frozen=True, eq=False, repr=False)
class OperandActivations:
    """Activations of all features at one position of a template, for all pairs of operands [CT25, "Operand plots"].

    template, a, b, position: what was asked for; tokens: the first prompt's, of which `position` is one.
    n_features: [l], features of every layer of the transcoder, active or not.
    layer, index: [f], the features that are active for some pair, in order; those of feature i are the cells
    `start[i]` to `start[i + 1]` of cell: [c], the place of the pair in the flattened plot, and value: [c].
    before: activations without the intervention, if there was one.

    >>> operands = model.operand_activations()
    >>> operands.plot(2, 517)          # float32 [a, b]
    >>> operands.features.nlargest(10, "max")
    """

    template: str
    a: tuple[int, ...]
    b: tuple[int, ...]
    position: int
    tokens: tuple[str, ...]
    n_features: tuple[int, ...]
    layer: Int32
    index: Int32
    start: Int64
    cell: Int32
    value: Float32
    before: OperandActivations | None = None

    def __post_init__(self) -> None:
        for name in ("layer", "index", "start", "cell", "value"):
            getattr(self, name).setflags(write=False)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows (a) and columns (b) of a plot."""
        return len(self.a), len(self.b)

    @cached_property
    def _rows(self) -> Mapping[tuple[int, int], int]:
        return {feature: row for row, feature in enumerate(zip(self.layer.tolist(), self.index.tolist(), strict=True))}

    def plot(self, layer: int, index: int) -> Float32:
        """Draw up the operand plot of a feature, 0 where it is inactive. -> [a, b].

        Raises FeatureError for a feature that the transcoder does not have.
        """
        if not (0 <= layer < len(self.n_features) and 0 <= index < self.n_features[layer]):
            raise FeatureError(
                f"there is no feature {FeatureName(layer, index)}; layers have {list(self.n_features)} features"
            )
        plot = np.zeros(self.shape, np.float32)
        row = self._rows.get((layer, index))
        if row is not None:
            cells = slice(*self.start[row : row + 2].tolist())
            plot.reshape(-1)[self.cell[cells]] = self.value[cells]
        return plot

    @cached_property
    def features(self) -> pd.DataFrame:
        """Features that are active for some pair: layer, index, n_active (pairs), max and mean (over active pairs)."""
        import pandas as pd

        count = np.diff(self.start)
        begin = self.start[:-1]
        total = np.add.reduceat(self.value, begin, dtype=np.float64) if len(self) else np.zeros(0)
        highest = np.maximum.reduceat(self.value, begin) if len(self) else np.zeros(0, np.float32)
        return pd.DataFrame(
            {"layer": self.layer, "index": self.index, "n_active": count, "max": highest, "mean": total / count}
        )

    @cached_property
    def families(self) -> pd.DataFrame:
        """The family of every feature that is active for some pair, see `classify`, and the evidence.

        Columns: layer, index, n_active, kind, precision, modularity, name, explained, and for every hypothesis how much
        it explains beyond chance.
        """
        import pandas as pd

        rows: list[dict[str, object]] = []
        count = np.diff(self.start).tolist()
        with progress_bar("families", len(self), unit="feature") as bar:
            for layer, index, n in zip(self.layer.tolist(), self.index.tolist(), count, strict=True):
                family = classify(self.plot(layer, index), self.a, self.b)
                told = {name: getattr(family, name) for name in _TOLD}
                rows.append({"layer": layer, "index": index, "n_active": n, **told, **family.evidence})
                bar.advance()
        return pd.DataFrame(rows)

    @cached_property
    def labels(self) -> Mapping[str, str]:
        """Families with a name, by feature: automatic labels, and marked as such, for `graph.with_labels(operands)`."""
        return {feature: f"{name} (auto)" for feature, (name, _) in self.auto_labels.items()}

    @cached_property
    def auto_labels(self) -> Mapping[str, tuple[str, str]]:
        """Families with a name and a reason, by feature, for `model.features.add_auto_labels(operands.auto_labels)`."""
        named = self.families.query("kind != 'other'")
        columns = zip(named["layer"], named["index"], named["name"], named["explained"], strict=True)
        plots = f"the variance of its activations for all pairs in {self.template!r}"
        return {
            str(FeatureName(layer, index)): (name, f"it explains {share:.0%} of {plots}")
            for layer, index, name, share in columns
        }

    @cached_property
    def difference(self) -> OperandActivations:
        """Changes by the intervention, after less before, as plots with a sign.

        Raises FeatureError where nothing was intervened on.
        """
        if self.before is None:
            raise FeatureError(
                "there was no intervention; pass interventions=[...] to operand_activations to have a difference"
            )
        return _difference(self, self.before)

    def __len__(self) -> int:
        return len(self.layer)

    def __contains__(self, feature: object) -> bool:
        return feature in self._rows

    def __repr__(self) -> str:
        changed = ", under an intervention" if self.before is not None else ""
        return (
            f"<OperandActivations of {self.template!r}, {len(self.a)} x {len(self.b)} pairs, at "
            f"{self.tokens[self.position]!r}: {len(self):,} features active{changed}>"
        )


def _difference(after: OperandActivations, before: OperandActivations) -> OperandActivations:
    size = len(after.a) * len(after.b)
    first = np.cumsum([0, *after.n_features])

    def keys(one: OperandActivations) -> Int64:
        """One number for a feature and a cell, in the order of both."""
        return np.repeat(first[one.layer] + one.index, np.diff(one.start)) * size + one.cell

    key, place = np.unique(np.concatenate([keys(after), keys(before)]), return_inverse=True)
    value = np.zeros(len(key), np.float32)
    np.add.at(value, place[: len(after.cell)], after.value)
    np.subtract.at(value, place[len(after.cell) :], before.value)
    changed = value != 0
    return replace(
        after, **columns(key[changed] // size, key[changed] % size, value[changed], after.n_features), before=None
    )


def columns(feature: Int64, cell: Int64, value: Float32, n_features: tuple[int, ...]) -> dict[str, Any]:
    """The columns of OperandActivations from cells [c] sorted by feature, numbered through all layers, and cell."""
    first = np.cumsum([0, *n_features])
    found, begin = np.unique(feature, return_index=True)
    layer = np.searchsorted(first, found, side="right") - 1
    return {
        "layer": layer.astype(np.int32),
        "index": (found - first[layer]).astype(np.int32),
        "start": np.append(begin, len(feature)).astype(np.int64),
        "cell": cell.astype(np.int32),
        "value": value.astype(np.float32),
    }
