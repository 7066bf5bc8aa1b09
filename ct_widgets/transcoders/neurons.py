"""Activations of a model's own neurons: the baseline that a transcoder is compared with [CT25, "Evaluating"].

Every layer's MLP is a sum over neurons already, a^l W_out, so without a threshold the reconstruction is exact. Two
constants of a run are held fixed as attribution holds norms and attention patterns: the gate of a gated MLP, whose
neurons then read with W_in alone, and the denominator of a norm behind the MLP, which divides the activations.
Axes: f neuron, d model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class NeuronActivation:
    """How the neurons of one layer's MLP become active; activations may be negative.

    function: the MLP's activation function; W_gate: [f, d] and b_gate: [f], for gated MLPs; W_out: [f, d] and
    norm_eps, for families with an RMS norm behind the MLP, whose weight the transcoder's W_dec carries.
    """

    function: Callable[[Tensor], Tensor]
    W_gate: Tensor | None = None
    b_gate: Tensor | None = None
    W_out: Tensor | None = None
    norm_eps: float = 0.0

    def __call__(self, h: Tensor, x: Tensor) -> Tensor:
        """Activations of pre-activations h = W_in x + b_in: [..., f], where the MLP reads x: [..., d] -> [..., f]."""
        if self.W_gate is None or self.b_gate is None:
            a = self.function(h)
        else:
            a = self.function(x.to(h.dtype) @ self.W_gate.to(h.dtype).T + self.b_gate.to(h.dtype)) * h
        if self.W_out is None:
            return a
        written = a @ self.W_out.to(a.dtype)
        return a / (written.square().mean(-1, keepdim=True) + self.norm_eps).sqrt()

    def to(self, device: torch.device | str) -> NeuronActivation:
        """Move the weights to `device`."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: value.to(device) for name, value in own.items() if isinstance(value, Tensor)})
