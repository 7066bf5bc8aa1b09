"""Transcoders in one layout: sparse features that read the residual stream and write the MLPs' outputs.

    a^l    = act(W_enc^l x^l + b_enc^l)
    yhat^l = sum over l' <= l of W_dec^{l'->l} a^{l'} + b_dec^l (+ x^l W_skip^l)     [CT25, "Cross-layer transcoder"]

A per-layer transcoder has only the terms l' = l. Axes: l layer, p position, f feature, d model, m output layers of a
feature, counted from its own layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ct_widgets.errors import TranscoderError
from ct_widgets.linear import linear
from ct_widgets.transcoders import circuit_tracer
from ct_widgets.transcoders.activation import activate
from ct_widgets.transcoders.weights import Weights

# Encoders stay in the file's dtype and are converted by the chunk, so that a large one never stands in memory twice.
_ENCODER_CHUNK = 16_384


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Transcoder(Weights):
    """Sparse features that read the residual stream and write what the MLPs write; see Weights for its fields.

    `decoder_vectors` reads only the rows it is asked for, so that a decoder may stay on disk.

    >>> transcoder = Transcoder.load("my-transcoder")
    >>> a = [transcoder.encode(layer, x) for layer, x in enumerate(mlp_inputs)]  # L x [p, f]
    >>> y = transcoder.decode(a)
    """

    def __repr__(self) -> str:
        features = sum(map(self.n_features, range(self.n_layers)))
        skip = ", skip" if self.W_skip is not None else ""
        return (
            f"Transcoder({self.name}: {self.kind.upper()}, {self.activation}{skip}, {self.n_layers} layers, "
            f"d_model {self.d_model}, {features:,} features)"
        )

    @property
    def device(self) -> torch.device:
        """Where features are encoded; decoders may be elsewhere."""
        return self.W_enc[0].device

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
        if self.neurons is None:
            return activate(h, self.activation, threshold, self.k)
        a = self.neurons[layer](h, x)
        return a if threshold is None else a * (a.abs() > threshold)

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

    def with_min_output_norm(self, size: float) -> Transcoder:
        """Switch features off wherever they write less than `size`: |a_i| ||W_dec,i||, whatever their scale.

        Raises TranscoderError for TopK, where a threshold would make another transcoder.

        >>> transcoder.with_min_output_norm(0.1)  # sparser, and a worse reconstruction
        """
        if self.activation == "topk":
            raise TranscoderError("a threshold on top of topk would be another transcoder; use `k` to make it sparser")
        if size < 0:
            raise TranscoderError(f"size is {size}; what a feature writes has a norm of 0 or more")
        own, threshold = self.threshold, [size / norms.clamp_min(1e-30) for norms in self.decoder_norms]
        if own is not None:
            threshold = [torch.maximum(own[layer].float(), needed) for layer, needed in enumerate(threshold)]
        return replace(self, activation=self.activation if self.is_neurons else "jumprelu", threshold=threshold)

    def to(self, device: torch.device | str) -> Transcoder:
        """Move the transcoder to `device`; decoders stay where they are, unless a GPU has four times their room."""

        def moved(tensors: Sequence[Tensor] | None) -> list[Tensor] | None:
            return None if tensors is None else [tensor.to(device) for tensor in tensors]

        small = ("W_enc", "b_enc", "b_dec", "threshold", "W_skip")
        there: dict[str, Any] = {name: moved(getattr(self, name)) for name in small}
        large = sum(tensor.nbytes for tensor in self.W_dec)
        if torch.device(device).type == "cuda" and 4 * large <= torch.cuda.mem_get_info(device)[0]:
            there["W_dec"] = moved(self.W_dec)
        if self.neurons is not None:
            there["neurons"] = [one.to(device) for one in self.neurons]
        return replace(self, **there)

    def save(self, directory: str | Path) -> None:
        """Write a circuit-tracer directory of this kind; see `ct_widgets.transcoders.circuit_tracer`.

        Raises TranscoderError for neurons, which are part of their model.
        """
        if self.is_neurons:
            raise TranscoderError("neurons are part of their model and are not saved; `model.neurons()` makes them")
        circuit_tracer.write(self, Path(directory))

    @staticmethod
    def load(directory: str | Path) -> Transcoder:
        """Read a circuit-tracer directory: `config.yaml` and the safetensors beside it. Decoders stay on disk.

        Raises FileFormatError for a missing, truncated or foreign file, TranscoderError for weights of the wrong shape.
        """
        return circuit_tracer.read(Path(directory), Transcoder)

    @staticmethod
    def from_pretrained(name: str | Path) -> Transcoder:
        """Load a transcoder from a directory, or by its name on the Hugging Face hub.

        Raises TranscoderError for what is neither, and as `load` does.

        >>> Transcoder.from_pretrained("mntss/clt-gemma-2-2b-426k")  # doctest: +SKIP
        """
        path = Path(name).expanduser()
        if not path.is_dir():
            if isinstance(name, Path) or name.count("/") != 1:
                raise TranscoderError(
                    f"{name} is not a directory; pass one, or a hub name such as mntss/clt-gemma-2-2b-426k"
                )
            from huggingface_hub import snapshot_download

            path = Path(snapshot_download(name, allow_patterns=["*.safetensors", "config.yaml"]))
        return Transcoder.load(path)
