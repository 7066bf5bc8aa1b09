"""A set of features as sources or targets of weights, in the order of layers and indices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ct_widgets.errors import FeatureError
from ct_widgets.feature_name import FeatureLike, FeatureName

Chosen = Iterable[FeatureLike]


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """number: [s], each feature's number over all layers, ascending; n_features: of every layer of the transcoder."""

    number: npt.NDArray[np.int64]
    n_features: Sequence[int]

    @classmethod
    def of(cls, n_features: Sequence[int], chosen: Chosen | None) -> FeatureSet:
        """Make the set of the features `chosen`, or of all. Raises FeatureError for one that does not exist."""
        if chosen is None:
            return cls(np.arange(sum(n_features)), n_features)
        numbers = [FeatureName.of(feature).number(n_features) for feature in chosen]
        if not numbers:
            raise FeatureError('there are no features to weigh; name some, such as "L2/517"')
        return cls(np.unique(np.array(numbers, np.int64)), n_features)

    def __len__(self) -> int:
        return len(self.number)

    @cached_property
    def start(self) -> npt.NDArray[np.int64]:
        """Place in the set of the first feature of each layer, and the end. [l + 1]."""
        return np.searchsorted(self.number, np.cumsum([0, *self.n_features]))

    def index(self, layer: int) -> Tensor:
        """Return the indices of the set's features of one layer, [f]."""
        mine: npt.NDArray[Any] = self.number[self.start[layer] : self.start[layer + 1]]
        return torch.from_numpy(mine - sum(self.n_features[:layer]))
