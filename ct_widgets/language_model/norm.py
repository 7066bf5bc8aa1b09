"""Normalisation with its denominator frozen: an affine map of the residual stream [CT25, "local replacement model"]."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class FrozenNorm:
    """x -> centre(x) / scale * weight + bias, where `scale` is data of one run.

    weight: [d] or None; bias: [d] or None; `centred` is true for LayerNorm, false for RMSNorm.
    """

    weight: Tensor | None
    bias: Tensor | None
    centred: bool

    def linear(self, x: Tensor, scale: Tensor) -> Tensor:
        """Apply the linear part. x: [..., p, d], scale: [..., p] -> [..., p, d]."""
        if self.centred:
            x = x - x.mean(-1, keepdim=True)
        x = x / scale[..., None]
        return x if self.weight is None else x * self.weight

    def __call__(self, x: Tensor, scale: Tensor) -> Tensor:
        """Apply the affine map. x: [..., p, d], scale: [..., p] -> [..., p, d]."""
        y = self.linear(x, scale)
        return y if self.bias is None else y + self.bias

    def pull_back(self, g: Tensor, scale: Tensor) -> Tensor:
        """Carry a gradient back through `linear`, by its transpose. g: [..., p, d], scale: [..., p]."""
        if self.weight is not None:
            g = g * self.weight
        g = g / scale[..., None]
        return g - g.mean(-1, keepdim=True) if self.centred else g

    def fold_into(self, weight: Tensor) -> Tensor:
        """weight [d, ...] that reads the norm's output -> weight that reads the unscaled input (scale left out)."""
        if self.weight is not None:
            weight = self.weight.reshape(-1, *[1] * (weight.ndim - 1)) * weight
        return weight - weight.mean(0, keepdim=True) if self.centred else weight

    def fold_after(self, weight: Tensor) -> Tensor:
        """weight [..., d] that writes into the norm -> weight that writes its output (scale left out)."""
        if self.centred:
            weight = weight - weight.mean(-1, keepdim=True)
        return weight if self.weight is None else weight * self.weight
