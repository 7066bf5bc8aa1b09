"""JumpReLU with a straight-through estimator for its jump, which has no gradient.

    JumpReLU(h) = h 1[h > theta]        K(u) = 1 for |u| < 1/2, else 0
    d/dtheta ~ -(theta / eps) K((h - theta) / eps)
    d/dh     ~ 1[h > theta]                                       estimator "threshold"
    d/dh     ~ 1[h > theta] + (theta / eps) K((h - theta) / eps)  estimator "all"

"threshold" gives the jump's gradient to the threshold alone, "all" to everything behind h as well: encoder, bias, and
features that are just below their threshold. Both are exact derivatives of the function whose jump of height theta is
spread evenly over a band of width eps, the first one with h held.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

Estimator = Literal["all", "threshold"]


class _JumpReLU(torch.autograd.Function):
    @staticmethod
    def forward(h: Tensor, threshold: Tensor, bandwidth: float, estimator: Estimator) -> Tensor:
        return h * (h > threshold)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, float, Estimator], output: Tensor) -> None:
        h, threshold, ctx.bandwidth, ctx.estimator = inputs
        ctx.save_for_backward(h, threshold)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None, None]:
        h, threshold = ctx.saved_tensors
        (gradient,) = grad_outputs
        above = h - threshold
        height = threshold / ctx.bandwidth
        # As few passes over [..., f] as it takes: they cost as much as the matrix products around them.
        jump = gradient * (above.abs() < ctx.bandwidth / 2)
        grad_threshold = -jump.sum_to_size(threshold.shape) * height
        grad_h = torch.where(above > 0, gradient, 0)
        if ctx.estimator == "all":
            grad_h.add_(jump.mul_(height))
        return grad_h, grad_threshold, None, None


def jump_relu(h: Tensor, threshold: Tensor, bandwidth: float, estimator: Estimator = "all") -> Tensor:
    """Compute activations from pre-activations h: [..., f]; threshold broadcasts to h.

    Where threshold = exp(t), take the exp before the call: inside, its chain-rule factor would be lost.
    """
    return _JumpReLU.apply(h, threshold, bandwidth, estimator)  # pyright: ignore[reportReturnType]
