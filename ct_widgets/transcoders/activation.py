"""Activation functions of transcoders, as functions of the pre-activation [CT25, "JumpReLU"]."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from ct_widgets.errors import TranscoderError

Activation = Literal["relu", "jumprelu", "topk", "mlp"]
ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)


def activate(h: Tensor, activation: Activation, threshold: Tensor | None, k: int | None) -> Tensor:
    """Activations of pre-activations h: [..., f]. threshold: [f] or scalar, for JumpReLU; k for TopK."""
    if activation == "relu":
        return torch.relu(h)
    if activation == "jumprelu":
        if threshold is None:
            raise TranscoderError("JumpReLU needs a threshold per feature; give `threshold`, or use activation='relu'")
        return h * (h > threshold)
    if activation != "topk":
        raise TranscoderError(f"activation {activation!r} is not a function of the pre-activation alone")
    if not k or k > h.shape[-1]:
        raise TranscoderError(f"TopK needs k between 1 and the {h.shape[-1]} features of a layer, got {k}")
    kept = h.topk(k, dim=-1)  # the largest raw values: some may be negative
    return torch.zeros_like(h).scatter(-1, kept.indices, kept.values)
