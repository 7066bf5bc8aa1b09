"""Transcoders in one layout: sparse features that read the residual stream and write the MLPs' outputs.

    a^l    = act(W_enc^l x^l + b_enc^l)
    yhat^l = sum over l' <= l of W_dec^{l'->l} a^{l'} + b_dec^l (+ x^l W_skip^l)     [CT25, "Cross-layer transcoder"]

A per-layer transcoder has only the terms l' = l. Axes: l layer, p position, f feature, d model, m output layers of a
feature, counted from its own layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor

from ct_widgets.errors import TranscoderError
from ct_widgets.linear import linear
from ct_widgets.transcoders.activation import ACTIVATIONS, Activation, activate

Kind = Literal["clt", "plt"]

# Encoders stay in the file's dtype and are converted by the chunk, so that a large one never stands in memory twice.
_ENCODER_CHUNK = 16_384


@dataclass(frozen=True, eq=False, repr=False)
class Transcoder:
    """Weights by source layer, ordered and shaped the same whatever file they came from.

    W_enc: L x [f, d]; b_enc: L x [f]; b_dec: L x [d]; W_dec: L x [f, L - l, d] for a cross-layer transcoder ("clt"),
    L x [f, 1, d] for a per-layer one ("plt"); threshold: L x [f], for JumpReLU; W_skip: L x [d, d], y += x @ W_skip.
    `feature_input_hook` and `feature_output_hook` are TransformerLens names inside a block.

    Decoders may be memory-mapped files: `decoder_vectors` touches only the rows it is asked for.
    """

    kind: Kind | Literal["neurons"]
    activation: Activation
    W_enc: Sequence[Tensor]
    W_dec: Sequence[Tensor]
    b_enc: Sequence[Tensor]
    b_dec: Sequence[Tensor]
    threshold: Sequence[Tensor] | None = None
    W_skip: Sequence[Tensor] | None = None
    k: int | None = None
    feature_input_hook: str = "hook_resid_mid"
    feature_output_hook: str = "hook_mlp_out"
    model_name: str | None = None
    name: str = field(default="transcoder")

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise TranscoderError(f"kind is {self.kind!r}; expected 'clt' or 'plt'")
        if self.activation not in ACTIVATIONS[:-1]:
            raise TranscoderError(f"activation is {self.activation!r}; expected one of {', '.join(ACTIVATIONS[:-1])}")
        if (self.activation == "jumprelu") != (self.threshold is not None):
            raise TranscoderError("JumpReLU needs `threshold`, and no other activation takes one")
        if (self.activation == "topk") != (self.k is not None):
            raise TranscoderError("TopK needs `k`, and no other activation takes one")
        if not self.W_enc:
            raise TranscoderError("a transcoder needs at least one layer")
        self._check_shapes()

    def _check_shapes(self) -> None:
        d = self.d_model
        for layer in range(self.n_layers):
            f = self.n_features(layer)
            written = self.n_layers - layer if self.kind == "clt" else 1
            expected = {"W_enc": (f, d), "W_dec": (f, written, d), "b_enc": (f,), "b_dec": (d,)}
            if self.threshold is not None:
                expected["threshold"] = (f,)
            if self.W_skip is not None:
                expected["W_skip"] = (d, d)
            for what, shape in expected.items():
                tensors: Sequence[Tensor] = getattr(self, what)
                if len(tensors) != self.n_layers:
                    raise TranscoderError(f"{what} has {len(tensors)} layers, W_enc has {self.n_layers}")
                if tuple(tensors[layer].shape) != shape:
                    raise TranscoderError(
                        f"{what} of layer {layer} has shape {tuple(tensors[layer].shape)}, expected {shape} "
                        f"({self.n_layers} layers, {f} features, d_model {d}); is it transposed?"
                    )

    def __repr__(self) -> str:
        features = sum(map(self.n_features, range(self.n_layers)))
        skip = ", skip" if self.W_skip is not None else ""
        return (
            f"Transcoder({self.name}: {self.kind.upper()}, {self.activation}{skip}, {self.n_layers} layers, "
            f"d_model {self.d_model}, {features:,} features)"
        )

    @property
    def n_layers(self) -> int:
        """Number of layers."""
        return len(self.W_enc)

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return self.W_enc[0].shape[-1]

    @property
    def device(self) -> torch.device:
        """Where features are encoded; decoders may be elsewhere."""
        return self.W_enc[0].device

    def n_features(self, layer: int) -> int:
        """Features of one layer."""
        return self.W_enc[layer].shape[0]

    def output_layers(self, layer: int) -> range:
        """The layers whose MLP output the features of `layer` write to."""
        return range(layer, self.n_layers) if self.kind == "clt" else range(layer, layer + 1)

    def preactivation(self, layer: int, x: Tensor) -> Tensor:
        """W_enc x + b_enc in float32 at least. x: [..., d] -> [..., f]."""
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        W_enc, b_enc = self.W_enc[layer], self.b_enc[layer].to(x.dtype)
        if W_enc.dtype == x.dtype:
            return linear(x, W_enc, b_enc)
        return torch.cat([linear(x, part.to(x.dtype)) for part in W_enc.split(_ENCODER_CHUNK)], dim=-1) + b_enc

    def encode(self, layer: int, x: Tensor) -> Tensor:
        """Feature activations. x: [..., d], as read at `feature_input_hook` of `layer` -> [..., f]."""
        h = self.preactivation(layer, x)
        threshold = None if self.threshold is None else self.threshold[layer].to(h.dtype)
        return activate(h, self.activation, threshold, self.k)

    def active(self, layer: int, x: Tensor) -> tuple[Tensor, Tensor]:
        """Where features are active, and their activations there, which `encode` sets to 0 elsewhere. -> [..., f] each.

        Less work than `encode` for whoever wants the active ones alone.
        """
        if self.activation not in ("relu", "jumprelu"):
            a = self.encode(layer, x)
            return a != 0, a
        h = self.preactivation(layer, x)
        return h > (0 if self.threshold is None else self.threshold[layer].to(h.dtype)), h

    def decode(self, activations: Sequence[Tensor], x: Sequence[Tensor] | None = None) -> list[Tensor]:
        """Reconstructed MLP outputs of every layer -> L x [..., d].

        activations: L x [..., f]; x: L x [..., d], the inputs of every layer, which a skip connection needs.
        """
        y = [b.to(a).expand(*a.shape[:-1], -1) for a, b in zip(activations, self.b_dec, strict=True)]
        for layer, a in enumerate(activations):
            for m, target in enumerate(self.output_layers(layer)):
                y[target] = y[target] + a @ self.W_dec[layer][:, m].to(a)
        if self.W_skip is None:
            return y
        if x is None:
            raise TranscoderError("this transcoder has a skip connection: decode needs `x`, the inputs of every layer")
        return [out + self.skip(layer, x[layer]) for layer, out in enumerate(y)]

    def skip(self, layer: int, x: Tensor) -> Tensor:
        """The skip connection x W_skip of one layer, or zero. x: [..., d] -> [..., d]."""
        return torch.zeros_like(x) if self.W_skip is None else x @ self.W_skip[layer].to(x)

    def decoder_vectors(self, layer: int, index: Tensor) -> Tensor:
        """Decoder rows of the features `index`: [n] of one layer, in float32, on `device` -> [n, m, d]."""
        W_dec = self.W_dec[layer].detach()
        # Only the rows asked for leave a memory-mapped file; a GPU takes them while the next ones are read.
        pinned = W_dec.device.type == "cpu" and self.device.type == "cuda"
        rows = torch.empty(len(index), *W_dec.shape[1:], dtype=W_dec.dtype, device=W_dec.device, pin_memory=pinned)
        torch.index_select(W_dec, 0, index.to(W_dec.device), out=rows)
        return rows.to(self.device, non_blocking=pinned).to(torch.promote_types(rows.dtype, torch.float32))

    def encoder_vectors(self, layer: int, index: Tensor) -> Tensor:
        """Encoder rows of the features `index`: [n] of one layer, in float32 -> [n, d]."""
        rows = self.W_enc[layer].index_select(0, index.to(self.device))
        return rows.to(torch.promote_types(rows.dtype, torch.float32))

    @cached_property
    def decoder_norms(self) -> list[Tensor]:
        """||W_dec,i||, over all layers that a feature writes to, read once from the whole decoder. -> L x [f]."""

        def norms(W_dec: Tensor) -> Tensor:
            return torch.cat([part.float().square().sum((1, 2)).sqrt() for part in W_dec.split(_ENCODER_CHUNK)])

        return [norms(W_dec).to(self.device) for W_dec in self.W_dec]

    def above(self, size: float) -> Transcoder:
        """The same features, silent wherever they write less than `size`: |a_i| ||W_dec,i||, whatever their scale.

        >>> transcoder.above(0.1)  # sparser, and a worse reconstruction
        """
        if self.activation not in ("relu", "jumprelu"):
            raise TranscoderError(f"a threshold on top of {self.activation} would be another transcoder")
        return replace(self, activation="jumprelu", threshold=self._at_least(size, self.threshold))

    def _at_least(self, size: float, own: Sequence[Tensor] | None) -> list[Tensor]:
        """Thresholds of activations that write at least `size`, or the feature's own where that is higher. L x [f]."""
        if size < 0:
            raise TranscoderError(f"size is {size}; what a feature writes has a norm of 0 or more")
        found: list[Tensor] = []
        for layer in range(self.n_layers):
            needed = size / self.decoder_norms[layer].clamp_min(1e-30)
            found.append(needed if own is None else torch.maximum(own[layer].float(), needed))
        return found

    def to(self, device: torch.device | str) -> Transcoder:
        """The same transcoder on `device`; decoders stay where they are, unless a GPU has four times their room."""

        def moved(tensors: Sequence[Tensor] | None) -> list[Tensor] | None:
            return None if tensors is None else [tensor.to(device) for tensor in tensors]

        there = {name: moved(getattr(self, name)) for name in ("W_enc", "b_enc", "b_dec", "threshold", "W_skip")}
        large = sum(tensor.nbytes for tensor in self.W_dec)
        if torch.device(device).type == "cuda" and 4 * large <= torch.cuda.mem_get_info(device)[0]:
            there["W_dec"] = moved(self.W_dec)
        return replace(self, **there)  # pyright: ignore[reportArgumentType]

    def save(self, directory: str | Path) -> None:
        """Write a circuit-tracer directory of this kind; see `ct_widgets.transcoders.circuit_tracer`."""
        from ct_widgets.transcoders.circuit_tracer import write

        write(self, Path(directory))

    @staticmethod
    def load(directory: str | Path) -> Transcoder:
        """Read a circuit-tracer directory: `config.yaml` and the safetensors beside it. Decoders stay on disk.

        Raises FileFormatError for a missing, truncated or foreign file, TranscoderError for weights of the wrong shape.
        """
        from ct_widgets.transcoders.circuit_tracer import read

        return read(Path(directory))
