"""Names of features: L2/517 is feature 517 of layer 2."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple, Self

from ct_widgets.errors import FeatureError

FeatureLike = str | tuple[int, int]
"""A feature by name ("L2/517") or as (layer, index)."""


class FeatureName(NamedTuple):
    """A feature by layer and index, which prints as its name.

    >>> str(FeatureName(2, 517)), FeatureName.parse("L2/517").index
    ('L2/517', 517)
    """

    layer: int
    index: int  # pyright: ignore[reportIncompatibleMethodOverride]  (the field's own name; nobody searches a name)

    def __str__(self) -> str:
        return f"L{self.layer}/{self.index}"

    @classmethod
    def parse(cls, name: str) -> Self:
        """Read a name such as "L2/517". Raises FeatureError for any other text."""
        match = re.fullmatch(r"L([0-9]+)/([0-9]+)", name)
        if match is None:
            raise FeatureError(f'{name!r} is not the name of a feature; expected layer and index as in "L2/517"')
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def of(cls, feature: FeatureLike) -> Self:
        """Read a name, or take (layer, index) as they are."""
        return cls.parse(feature) if isinstance(feature, str) else cls(*map(int, feature))

    def check(self, n_features: Sequence[int]) -> Self:
        """Return the name itself; raise FeatureError if layers of `n_features` [l] do not have such a feature."""
        if not 0 <= self.layer < len(n_features):
            raise FeatureError(f"{self} does not exist; there are layers 0 to {len(n_features) - 1}")
        if not 0 <= self.index < n_features[self.layer]:
            raise FeatureError(
                f"{self} does not exist; layer {self.layer} has features 0 to {n_features[self.layer] - 1}"
            )
        return self

    def number(self, n_features: Sequence[int]) -> int:
        """Return the place of the feature among those of all layers. Raises FeatureError if it does not exist."""
        self.check(n_features)
        return sum(n_features[: self.layer]) + self.index

    @classmethod
    def of_number(cls, number: int, n_features: Sequence[int]) -> Self:
        """Invert `number`."""
        for layer, n in enumerate(n_features):
            if number < n:
                return cls(layer, number)
            number -= n
        raise FeatureError(f"there is no feature of this number; there are {sum(n_features):,}, counted from 0")

    @property
    def cantor(self) -> int:
        """The Cantor pair of layer and index: the one number that stands for the feature in files of other tools."""
        return (self.layer + self.index) * (self.layer + self.index + 1) // 2 + self.index

    @classmethod
    def from_cantor(cls, number: int) -> Self:
        """Invert `cantor`."""
        diagonal = (math.isqrt(8 * number + 1) - 1) // 2
        index = number - diagonal * (diagonal + 1) // 2
        return cls(diagonal - index, index)
