"""Centre and scale of activations, estimated once and folded into the weights when they are saved.

Axes: l layer, n token, d model.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ct_widgets.errors import TrainingError


@dataclass(frozen=True, eq=False)
class Normaliser:
    """x -> (x - mean) / scale, so that a layer's coordinates have variance 1 on average. mean: [l, d], scale: [l]."""

    mean: Tensor
    scale: Tensor

    @classmethod
    def of(cls, activations: Tensor) -> Normaliser:
        """Estimate from activations [l, n, d]. Raises TrainingError for a layer that never varies."""
        mean = activations.mean(1)
        scale = (activations - mean[:, None]).square().mean((1, 2)).sqrt()
        for layer, value in enumerate(scale.tolist()):
            if not 0 < value < float("inf"):
                raise TrainingError(
                    f"activations of layer {layer} have a spread of {value}; training needs finite values that vary"
                )
        return cls(mean, scale)

    def __call__(self, activations: Tensor) -> Tensor:
        """Normalise activations [l, n, d]."""
        return (activations - self.mean[:, None]) / self.scale[:, None, None]

    def to(self, device: torch.device) -> Normaliser:
        """Copy the normaliser to `device`."""
        return Normaliser(self.mean.to(device), self.scale.to(device))
