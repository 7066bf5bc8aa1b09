"""A model's own neurons as a dictionary: the baseline that a transcoder is compared with [CT25, "Evaluating"].

Every layer's MLP is a sum over neurons already, a^l W_out, so without a threshold the reconstruction is exact. Two
constants of a run are held fixed as attribution holds norms and attention patterns: the gate of a gated MLP, whose
neurons then read with W_in alone, and the denominator of a norm behind the MLP, which divides the activations.
Axes: l layer, p position, f neuron, d model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ct_widgets.errors import TranscoderError
from ct_widgets.transcoders.transcoder import Transcoder


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class NeuronTranscoder(Transcoder):
    """Neurons in the layout of a per-layer transcoder; W_enc is W_in, W_dec is W_out.

    function: the MLP's activation function; W_gate: L x [f, d] and b_gate: L x [f], for gated MLPs; W_out: L x [f, d]
    and norm_eps, for families with an RMS norm behind the MLP, whose weight W_dec carries; threshold: L x [f], what an
    activation's magnitude must exceed. Activations may be negative.
    """

    function: Callable[[Tensor], Tensor] = torch.relu
    W_gate: Sequence[Tensor] | None = None
    b_gate: Sequence[Tensor] | None = None
    W_out: Sequence[Tensor] | None = None
    norm_eps: float = 0.0

    def __post_init__(self) -> None:
        if self.kind != "neurons" or self.activation != "mlp":
            raise TranscoderError("neurons have kind 'neurons' and activation 'mlp'")
        self._check_shapes()

    def encode(self, layer: int, x: Tensor) -> Tensor:
        """Activations of the neurons above their thresholds. x: [..., d] -> [..., f]."""
        a = self.preactivation(layer, x)
        if self.W_gate is None or self.b_gate is None:
            a = self.function(a)
        else:
            gate = x.to(a.dtype) @ self.W_gate[layer].to(a.dtype).T + self.b_gate[layer].to(a.dtype)
            a = self.function(gate) * a
        if self.W_out is not None:
            written = a @ self.W_out[layer].to(a.dtype)
            a = a / (written.square().mean(-1, keepdim=True) + self.norm_eps).sqrt()
        return a if self.threshold is None else a * (a.abs() > self.threshold[layer].to(a.dtype))

    def above(self, size: float) -> Transcoder:
        """See Transcoder.above."""
        return replace(self, threshold=self._at_least(size, self.threshold))

    def to(self, device: torch.device | str) -> Transcoder:
        """The same neurons on `device`."""
        small = {
            name: [tensor.to(device) for tensor in tensors]
            for name in ("W_enc", "W_dec", "b_enc", "b_dec", "threshold", "W_gate", "b_gate", "W_out")
            if (tensors := getattr(self, name)) is not None
        }
        return replace(self, **small)  # pyright: ignore[reportArgumentType]

    def save(self, directory: str | Path) -> None:
        """Neurons are the model's own: they have no files."""
        raise TranscoderError("neurons are part of their model and are not saved; `model.neurons()` makes them again")
