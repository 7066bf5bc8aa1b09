"""JumpReLU with a straight-through estimator for what its jump hides from gradients.

    JumpReLU(h) = h 1[h > theta]        K(u) = 1 for |u| < 1/2, else 0
    d/dtheta ~ -(theta / eps) K((h - theta) / eps)
    d/dh     ~ 1[h > theta] + (theta / eps) K((h - theta) / eps)

This is the variant that passes the estimator on to everything behind h, not to the threshold alone. Both are exact
derivatives of the function whose jump of height theta is spread evenly over a band of width eps.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _JumpReLU(torch.autograd.Function):
    @staticmethod
    def forward(h: Tensor, threshold: Tensor, bandwidth: float) -> Tensor:
        return h * (h > threshold)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, float], output: Tensor) -> None:
        h, threshold, ctx.bandwidth = inputs
        ctx.save_for_backward(h, threshold)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None]:
        h, threshold = ctx.saved_tensors
        (gradient,) = grad_outputs
        above = h - threshold
        height = threshold / ctx.bandwidth
        # As few passes over [..., f] as it takes: they cost as much as the matrix products around them.
        jump = gradient * (above.abs() < ctx.bandwidth / 2)
        grad_threshold = -jump.sum_to_size(threshold.shape) * height
        return torch.where(above > 0, gradient, 0).add_(jump.mul_(height)), grad_threshold, None


def jump_relu(h: Tensor, threshold: Tensor, bandwidth: float) -> Tensor:
    """Activations of pre-activations h. h: [..., f], threshold: broadcasts to h.

    Where threshold = exp(t), take the exp before the call: inside, its chain-rule factor would be lost.
    """
    return _JumpReLU.apply(h, threshold, bandwidth)  # pyright: ignore[reportReturnType]
