"""The weights of a transcoder in one layout, whatever file they came from, checked once.

Axes: l layer, f feature, d model, m output layers of a feature, counted from its own layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor

from ct_widgets.errors import TranscoderError
from ct_widgets.transcoders.activation import ACTIVATIONS, Activation
from ct_widgets.transcoders.neurons import NeuronActivation

Kind = Literal["clt", "plt"]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Weights:
    """Weights by source layer, ordered and shaped the same whatever file they came from.

    W_enc: L x [f, d]; b_enc: L x [f]; b_dec: L x [d]; W_dec: L x [f, L - l, d] for a cross-layer transcoder ("clt"),
    L x [f, 1, d] for a per-layer one ("plt"); threshold: L x [f], for JumpReLU; W_skip: L x [d, d], y += x @ W_skip.
    neurons: one of each layer, for the model's own neurons as features, in the layout of a per-layer transcoder.
    `feature_input_hook` and `feature_output_hook` are TransformerLens names inside a block.

    Decoders may be memory-mapped files. Raises TranscoderError for weights that do not fit together.
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
    neurons: Sequence[NeuronActivation] | None = None
    feature_input_hook: str
    feature_output_hook: str
    model_name: str | None = None
    name: str = "transcoder"

    def __post_init__(self) -> None:
        if self.kind not in (*get_args(Kind), "neurons"):
            raise TranscoderError(f"kind is {self.kind!r}; expected 'clt' or 'plt'")
        if self.activation not in ACTIVATIONS:
            raise TranscoderError(f"activation is {self.activation!r}; expected one of {', '.join(ACTIVATIONS)}")
        of_every_layer = len(self.neurons or self.W_enc) == len(self.W_enc)
        if not (self.kind == "neurons") == (self.activation == "mlp") == self.is_neurons or not of_every_layer:
            raise TranscoderError("kind 'neurons', activation 'mlp' and `neurons` of every layer go together")
        if not self.is_neurons and (self.activation == "jumprelu") != (self.threshold is not None):
            raise TranscoderError("JumpReLU needs `threshold`, and no other activation takes one")
        if (self.activation == "topk") != (self.k is not None):
            raise TranscoderError("TopK needs `k`, and no other activation takes one")
        if not self.W_enc:
            raise TranscoderError("a transcoder needs at least one layer")
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

    @property
    def is_neurons(self) -> bool:
        """Whether the features are a model's own neurons."""
        return self.neurons is not None

    @property
    def n_layers(self) -> int:
        """Number of layers."""
        return len(self.W_enc)

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return self.W_enc[0].shape[-1]

    def n_features(self, layer: int) -> int:
        """Features of one layer."""
        return self.W_enc[layer].shape[0]

    def output_layers(self, layer: int) -> range:
        """The layers whose MLP output the features of `layer` write to."""
        return range(layer, self.n_layers) if self.kind == "clt" else range(layer, layer + 1)
