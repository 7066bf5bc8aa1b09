"""A transcoder while it is trained: parameters, forward pass, and export with the normalisers folded in.

    a^l = act(W_enc^l x^l + b_enc^l)    yhat^l = sum over l' <= l of W_dec^{l'->l} a^{l'} + b_dec^l (+ x^l W_skip^l)

[CT25]; a per-layer transcoder has only the terms l' = l.
Axes: l layer, n token, f feature, d model, m output layers of a feature, counted from its own layer.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from ct_widgets.errors import TrainingError
from ct_widgets.training import parallel
from ct_widgets.training.config import TrainingConfig
from ct_widgets.training.jumprelu import jump_relu
from ct_widgets.training.normalisation import Normaliser
from ct_widgets.training.parallel import Shards
from ct_widgets.transcoders import Transcoder

_LEVEL_RATE = 0.05
"""Share of the way, in logarithms, that the level of BatchTopK goes in a step: batches are noisy, weights slow."""

_DEAD_BIAS_RATE = 0.01
"""Share of its spread by which the bias of a dead feature of the TopK family rises in a step."""

_MAX_DEAD_BIAS = 3.0
"""Spreads up to which it does."""

_MIN_LEVEL = 1e-6

FEATURE_AXES = {"W_enc": 1, "b_enc": 1, "log_threshold": 1, "W_dec": 0}
"""Axes that count features, by the parameter's name; other parameters belong to all features."""


class Dictionary(nn.Module):
    """Parameters in the normalised units of training.

    W_enc: [l, f, d]; b_enc: [l, f]; W_dec: L x [f, m, d]; b_dec: [l, d]; log_threshold: [l, f], for JumpReLU;
    W_skip: [l, d, d], with `config.skip`; level: what a BatchTopK feature must write to be active, in norm.
    With `shards`, f counts the features of this process.
    """

    def __init__(self, n_layers: int, d_model: int, config: TrainingConfig, shards: Shards | None = None) -> None:
        super().__init__()
        self.config, self.shards = config, shards or Shards()
        features, draw = config.features, torch.Generator().manual_seed(config.seed)
        own = features // self.shards.count

        def uniform(name: str, *shape: int, bound: float) -> nn.Parameter:
            drawn = (2 * torch.rand(shape, generator=draw) - 1) * bound
            return nn.Parameter(self.shards.own(drawn, FEATURE_AXES[name]))

        self.W_enc = uniform("W_enc", n_layers, features, d_model, bound=1 / math.sqrt(features))
        self.b_enc = nn.Parameter(torch.zeros(n_layers, own))
        self.log_threshold: nn.Parameter | None = None
        if config.activation == "jumprelu":
            self.log_threshold = nn.Parameter(torch.full((n_layers, own), math.log(config.threshold)))
        written = [n_layers - layer if config.kind == "clt" else 1 for layer in range(n_layers)]
        bound = 1 / math.sqrt(n_layers * d_model)
        self.W_dec = nn.ParameterList(uniform("W_dec", features, m, d_model, bound=bound) for m in written)
        self.b_dec = nn.Parameter(torch.zeros(n_layers, d_model))
        self.W_skip = nn.Parameter(torch.zeros(n_layers, d_model, d_model)) if config.skip else None
        self.register_buffer("level", torch.tensor(config.threshold))
        self.level: Tensor

    @property
    def n_layers(self) -> int:
        """Number of layers."""
        return len(self.W_dec)

    @torch.no_grad()
    def set_density(self, x: Tensor, density: float) -> None:
        """Move the encoder biases so that every feature is active on this share of the inputs x: [l, n, d].

        Features that start active on most tokens are pushed off all of them together, and many never come back.
        """
        kth = max(1, round((1 - density) * x.shape[1]))
        # Layer by layer: pre-activations of all would take more memory than any step does.
        reached = torch.stack([(W @ x[layer].T).kthvalue(kth, dim=1).values for layer, W in enumerate(self.W_enc)])
        if self.config.chooses_k:
            written = self.shards.whole(reached * self.decoder_norms(), FEATURE_AXES["b_enc"])
            self.level.copy_(written.mean().clamp_min(_MIN_LEVEL))
        self.b_enc.copy_(self.threshold - reached)

    @torch.no_grad()
    def update_level(self, l0: float) -> None:
        """Move the level of BatchTopK towards the one at which k features per layer are active; l0: over all layers.

        This runs beside training, so that no step sorts, and its end is the threshold of every later use.
        """
        excess = l0 / (self.config.k * self.n_layers)
        self.level *= min(max(excess, 1 / math.e), math.e) ** _LEVEL_RATE

    @torch.no_grad()
    def raise_dead_biases(self, dead: Tensor) -> None:
        """Raise the biases of dead features until they are active again; dead: [l, f].

        The TopK family gives them no gradient, and no penalty that keeps others small leaves them room. Steps are small
        relative to the spread of pre-activations, that of W_enc x with x of unit variance, so that a feature comes back
        on a few tokens and not on all at once. One that needs more than some spreads has decoders too small to write
        with: raised further it would become a constant, its decoders would shrink, and its threshold rise.
        """
        spread = self.W_enc.norm(dim=-1)
        self.b_enc += _DEAD_BIAS_RATE * spread * (dead & (self.b_enc < _MAX_DEAD_BIAS * spread))

    @property
    def threshold(self) -> Tensor:
        """theta: the value that h must exceed for a feature to be active. -> [l, f].

        JumpReLU's is exp(t), positive by construction. BatchTopK keeps what writes most, whatever its scale, and TopK
        what writes most on a token: its threshold serves to set the initial biases alone.
        """
        if self.log_threshold is not None:
            return self.log_threshold.exp()
        if self.config.activation == "relu":
            return torch.zeros_like(self.b_enc)
        return self.level / self.decoder_norms()

    def preactivation(self, x: Tensor) -> Tensor:
        """Compute pre-activations. x: [l, n, d] -> h: [l, n, f]."""
        return torch.baddbmm(self.b_enc[:, None], x, self.W_enc.mT)

    def activate(self, h: Tensor) -> Tensor:
        """Compute activations. h: [l, n, f] -> a: [l, n, f]."""
        return self._activate(h, self.threshold[:, None], self.decoder_norms()[:, None])

    def activate_layer(self, layer: int, x: Tensor) -> Tensor:
        """Compute the activations of one layer. x: [..., d] -> [..., f]."""
        h = x @ self.W_enc[layer].T + self.b_enc[layer]
        return self._activate(h, self.threshold[layer], self.decoder_norms()[layer])

    def _activate(self, h: Tensor, threshold: Tensor, norms: Tensor) -> Tensor:
        config = self.config
        if config.activation == "jumprelu":
            return jump_relu(h, threshold, config.bandwidth, config.estimator)
        if config.activation == "relu":
            return torch.relu(h)
        if config.activation == "batchtopk":
            return torch.where(h > threshold, h, 0)
        kept = (h * norms).topk(config.k, dim=-1).indices
        return torch.zeros_like(h).scatter(-1, kept, h.gather(-1, kept))

    def decode(self, a: Tensor, x: Tensor) -> Tensor:
        """Reconstruct the targets. a: [l, n, f], and x: [l, n, d] for a skip connection -> yhat: [l, n, d]."""
        written = [a[layer] @ W.flatten(1) for layer, W in enumerate(self.W_dec)]  # L x [n, m d]
        return self.sum_sources(written, x)

    def sum_sources(self, written: list[Tensor], x: Tensor) -> Tensor:
        """Add up what the features of each source layer write, L x [n, m d], at its output layers -> [l, n, d]."""
        summed = _SumSources.apply(self.config.kind == "clt", self.b_dec.dtype, *written)
        yhat = self.shards.summed(summed) + self.b_dec[:, None]  # pyright: ignore[reportArgumentType]
        return yhat if self.W_skip is None else yhat + x @ self.W_skip

    def decoder_norms(self) -> Tensor:
        """Compute ||W_dec,i||, one norm over ALL decoder vectors of a feature. -> [l, f]."""
        return torch.stack([torch.linalg.vector_norm(W, dim=(1, 2)) for W in self.W_dec])

    @staticmethod
    def feature_axis(name: str) -> int | None:
        """Look up which axis of a parameter counts features; None for one that belongs to all of them."""
        return FEATURE_AXES.get(name.split(".")[0])

    @torch.no_grad()
    def whole(self) -> Dictionary:
        """Gather the features of all shards in the memory of process 0; the others keep what they have.

        Every process has to call it. One parameter at a time is whole on the devices.
        """
        if self.shards.count == 1:
            return self
        parameters: dict[int, Any] = {id(self.shards): Shards()}
        for name, p in self.named_parameters():
            axis = self.feature_axis(name)
            full = p.detach() if axis is None else self.shards.whole(p.detach(), axis)
            if parallel.rank() == 0:
                parameters[id(p)] = nn.Parameter(full.cpu())
        return copy.deepcopy(self, parameters).cpu() if parallel.rank() == 0 else self

    @torch.no_grad()
    def export(self, inputs: Normaliser, targets: Normaliser, *, model_name: str | None, name: str) -> Transcoder:
        """Export a transcoder that works on activations in the model's own units.

        Only the encoder's input and the decoder's output change units, so thresholds stay as they are. A feature of
        TopK gets decoders of norm 1 and the scale that they had, so that the largest activations are those that write
        most here. Raises TrainingError where this process has only a part of the features.
        """
        config = self.config
        if self.shards.count > 1:
            raise TrainingError("this process has a part of the features; the whole transcoder is in process 0")
        scale = self.decoder_norms() if config.activation == "topk" else torch.ones_like(self.b_enc)
        W_enc = self.W_enc * scale[..., None] / inputs.scale[:, None, None]
        b_enc = self.b_enc * scale - torch.einsum("lfd,ld->lf", W_enc, inputs.mean)
        b_dec = self.b_dec * targets.scale[:, None] + targets.mean
        W_dec: list[Tensor] = []
        for layer, W in enumerate(self.W_dec):
            units = targets.scale[layer : layer + W.shape[1], None] / scale[layer, :, None, None]
            W_dec.append((W.detach() * units).cpu())
        W_skip = None
        if self.W_skip is not None:
            W_skip = self.W_skip * (targets.scale / inputs.scale)[:, None, None]
            b_dec = b_dec - torch.einsum("ld,lde->le", inputs.mean, W_skip)
        jumps = config.activation in ("jumprelu", "batchtopk")
        return Transcoder(
            kind=config.kind,
            activation="jumprelu" if jumps else "topk" if config.activation == "topk" else "relu",
            W_enc=[*W_enc.cpu()],
            W_dec=W_dec,
            b_enc=[*b_enc.cpu()],
            b_dec=[*b_dec.cpu()],
            threshold=[*self.threshold.cpu()] if jumps else None,
            W_skip=None if W_skip is None else [*W_skip.cpu()],
            k=config.k if config.activation == "topk" else None,
            feature_input_hook=config.input_hook,
            feature_output_hook=config.output_hook,
            model_name=model_name,
            name=name,
        )


class _SumSources(torch.autograd.Function):
    """Sum over source layers. All of them share one gradient, as views of the layers that each writes to."""

    @staticmethod
    def forward(to_later: bool, dtype: torch.dtype, *written: Tensor) -> Tensor:
        n_layers, n = len(written), len(written[0])
        parts = [w.unflatten(1, (n_layers - layer if to_later else 1, -1)) for layer, w in enumerate(written)]
        yhat = written[0].new_zeros(n_layers, n, parts[0].shape[-1], dtype=dtype)
        for layer, part in enumerate(parts):
            yhat[layer : layer + part.shape[1]] += part.transpose(0, 1)
        return yhat

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, _, *written = inputs
        ctx.widths, ctx.dtype = [w.shape[1] for w in written], written[0].dtype

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = grad_outputs
        d = gradient.shape[2]
        rows = gradient.transpose(0, 1).to(ctx.dtype).flatten(1)  # [n, l d]
        return None, None, *(rows[:, layer * d :][:, :width] for layer, width in enumerate(ctx.widths))
