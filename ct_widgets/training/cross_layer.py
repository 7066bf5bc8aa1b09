"""The cross-layer transcoder while it is trained: parameters, forward pass, and export with the normalisers folded.

    a^l = JumpReLU(W_enc^l x^l + b_enc^l)       yhat^l = sum over l' <= l of W_dec^{l'->l} a^{l'} + b_dec^l    [CT25]

Axes: l layer, n token, f feature, d model, m output layers of a feature, counted from its own layer.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ct_widgets.training.jumprelu import jump_relu
from ct_widgets.training.normalisation import Normaliser
from ct_widgets.training.recipe import Recipe
from ct_widgets.transcoders import Transcoder


class CrossLayerDictionary(nn.Module):
    """Parameters in the normalised units of training.

    W_enc: [l, f, d]; b_enc, log_threshold: [l, f]; W_dec: L x [f, m, d]; b_dec: [l, d].
    """

    def __init__(self, n_layers: int, d_model: int, recipe: Recipe) -> None:
        super().__init__()
        features, draw = recipe.features, torch.Generator().manual_seed(recipe.seed)

        def uniform(*shape: int, bound: float) -> nn.Parameter:
            return nn.Parameter((2 * torch.rand(shape, generator=draw) - 1) * bound)

        self.bandwidth = recipe.bandwidth
        self.W_enc = uniform(n_layers, features, d_model, bound=1 / math.sqrt(features))
        self.b_enc = nn.Parameter(torch.zeros(n_layers, features))
        self.log_threshold = nn.Parameter(torch.full((n_layers, features), math.log(recipe.threshold)))
        bound = 1 / math.sqrt(n_layers * d_model)
        self.W_dec = nn.ParameterList(
            uniform(features, n_layers - layer, d_model, bound=bound) for layer in range(n_layers)
        )
        self.b_dec = nn.Parameter(torch.zeros(n_layers, d_model))

    @torch.no_grad()
    def set_density(self, x: Tensor, density: float) -> None:
        """Move the encoder biases so that every feature is active on this share of the inputs x: [l, n, d].

        Features that start active on most tokens are pushed off all of them together, and many never come back.
        """
        kth = max(1, round((1 - density) * x.shape[1]))
        self.b_enc.copy_(self.threshold - (x @ self.W_enc.mT).kthvalue(kth, dim=1).values)

    @property
    def threshold(self) -> Tensor:
        """theta = exp(t), positive by construction. -> [l, f]."""
        return self.log_threshold.exp()

    def preactivation(self, x: Tensor) -> Tensor:
        """x: [l, n, d] -> h: [l, n, f]."""
        return torch.baddbmm(self.b_enc[:, None], x, self.W_enc.mT)

    def activate(self, h: Tensor) -> Tensor:
        """h: [l, n, f] -> a: [l, n, f]."""
        return jump_relu(h, self.threshold[:, None], self.bandwidth)

    def activate_layer(self, layer: int, x: Tensor) -> Tensor:
        """Activations of one layer. x: [..., d] -> [..., f]."""
        h = x @ self.W_enc[layer].T + self.b_enc[layer]
        return jump_relu(h, self.threshold[layer], self.bandwidth)

    def decode(self, a: Tensor) -> Tensor:
        """a: [l, n, f] -> yhat: [l, n, d]."""
        written = [a[layer] @ W.flatten(1) for layer, W in enumerate(self.W_dec)]  # L x [n, m d]
        parts = [w.unflatten(1, (-1, self.b_dec.shape[1])) for w in written]
        rows = [
            sum((parts[source][:, layer - source] for source in range(layer + 1)), self.b_dec[layer])
            for layer in range(len(parts))
        ]
        return torch.stack(rows)

    def decoder_norms(self) -> Tensor:
        """||W_dec,i||, one norm over ALL decoder vectors of a feature. -> [l, f]."""
        return torch.stack([torch.linalg.vector_norm(W, dim=(1, 2)) for W in self.W_dec])

    @torch.no_grad()
    def export(
        self, inputs: Normaliser, targets: Normaliser, *, input_hook: str, output_hook: str, model_name: str, name: str
    ) -> Transcoder:
        """The transcoder that does the same on activations in the model's own units.

        Thresholds stay as they are: only the encoder's input and the decoder's output change units.
        """
        W_enc = self.W_enc / inputs.scale[:, None, None]
        b_enc = self.b_enc - torch.einsum("lfd,ld->lf", W_enc, inputs.mean)
        b_dec = self.b_dec * targets.scale[:, None] + targets.mean
        W_dec = [W * targets.scale[layer:, None] for layer, W in enumerate(self.W_dec)]
        return Transcoder(
            kind="clt",
            activation="jumprelu",
            W_enc=[*W_enc.cpu()],
            W_dec=[W.detach().cpu() for W in W_dec],
            b_enc=[*b_enc.cpu()],
            b_dec=[*b_dec.cpu()],
            threshold=[*self.threshold.cpu()],
            feature_input_hook=input_hook,
            feature_output_hook=output_hook,
            model_name=model_name,
            name=name,
        )
