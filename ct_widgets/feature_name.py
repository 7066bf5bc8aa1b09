"""The name of a feature: its layer and its index there, written L2/517."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from ct_widgets.errors import FeatureError

_FORM = re.compile(r"L(\d+)/(\d+)")


class FeatureName(NamedTuple):
    """Layer and index of a feature, printed as `L2/517`.

    >>> str(FeatureName(2, 517)), FeatureName.parse("L2/517").layer
    ('L2/517', 2)
    """

    layer: int
    index: int  # pyright: ignore[reportIncompatibleMethodOverride]  (the field's own name; nobody searches a name)

    def __str__(self) -> str:
        return f"L{self.layer}/{self.index}"

    @classmethod
    def parse(cls, value: str | Sequence[Any]) -> FeatureName:
        """Read a name such as "L2/517", or a pair (layer, index). Raises FeatureError for anything else."""
        parts = value
        if isinstance(value, str):
            found = _FORM.fullmatch(value)
            parts = () if found is None else found.groups()
        try:
            layer, index = parts
            return cls(int(layer), int(index))
        except (TypeError, ValueError) as error:
            raise FeatureError(f'{value!r} is not a feature; expected a name such as "L2/517", or (2, 517)') from error

    @property
    def cantor(self) -> int:
        """The one number that stands for the feature in files of circuit-tracer and Neuronpedia."""
        return (self.layer + self.index) * (self.layer + self.index + 1) // 2 + self.index

    @classmethod
    def from_cantor(cls, number: int) -> FeatureName:
        """Return the feature that `cantor` gave this number."""
        diagonal = (math.isqrt(8 * number + 1) - 1) // 2
        index = number - diagonal * (diagonal + 1) // 2
        return cls(diagonal - index, index)
