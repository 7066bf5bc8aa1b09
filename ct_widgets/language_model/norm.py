"""Normalisation, live or with its denominator frozen, and then an affine map [CT25, "local replacement model"]."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import layer_norm, rms_norm


@dataclass(frozen=True)
class Norm:
    """x -> centre(x) / scale * weight + bias, where `scale` is data of one run, or computed from x.

    weight: [d] or None; bias: [d] or None; `centred` is true for LayerNorm, false for RMSNorm; eps is what a computed
    scale adds to the mean square.
    """

    weight: Tensor | None
    bias: Tensor | None
    centred: bool
    eps: float

    def linear(self, x: Tensor, scale: Tensor) -> Tensor:
        """Apply the linear part. x: [..., p, d], scale: [..., p] -> [..., p, d]."""
        if self.centred:
            x = x - x.mean(-1, keepdim=True)
        x = x / scale[..., None]
        return x if self.weight is None else x * self.weight

    def __call__(self, x: Tensor, scale: Tensor | None = None) -> Tensor:
        """Normalise x [..., p, d], with the denominator `scale` [..., p] if it is frozen. -> [..., p, d]."""
        if scale is None:
            if self.centred:
                return layer_norm(x, x.shape[-1:], self.weight, self.bias, self.eps)
            return rms_norm(x, x.shape[-1:], self.weight, self.eps)
        y = self.linear(x, scale)
        return y if self.bias is None else y + self.bias

    def pull_back(self, g: Tensor, scale: Tensor) -> Tensor:
        """Carry a gradient back through `linear`, by its transpose. g: [..., p, d], scale: [..., p]."""
        if self.weight is not None:
            g = g * self.weight
        g = g / scale[..., None]
        return g - g.mean(-1, keepdim=True) if self.centred else g

    def fold_into(self, weight: Tensor) -> Tensor:
        """Turn a weight [d, ...] that reads the norm's output into one that reads its input (scale left out)."""
        if self.weight is not None:
            weight = self.weight.reshape(-1, *[1] * (weight.ndim - 1)) * weight
        return weight - weight.mean(0, keepdim=True) if self.centred else weight

    def fold_after(self, weight: Tensor) -> Tensor:
        """Turn a weight [..., d] that writes the norm's input into one that writes its output (scale left out)."""
        if self.centred:
            weight = weight - weight.mean(-1, keepdim=True)
        return weight if self.weight is None else weight * self.weight
