"""The training loss of a cross-layer transcoder [CT25, "Cross-layer transcoder"], per token.

    sum_l ||yhat^l - y^l||^2  +  lambda sum_l,i tanh(c ||W_dec,i^l|| a_i^l)
                              +  lambda_P sum_l,i ReLU(theta_i^l - h_i^l) ||W_dec,i^l||

Axes: l layer, n token, f feature, d model.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ct_widgets.training.cross_layer import CrossLayerDictionary
from ct_widgets.training.recipe import Recipe


class Loss(NamedTuple):
    """Means over the tokens of a batch, before lambda and lambda_P; `active` counts features per token."""

    reconstruction: Tensor
    sparsity: Tensor
    preactivation: Tensor
    active: Tensor

    def total(self, recipe: Recipe, step: int) -> Tensor:
        """What the optimiser of `step` minimises."""
        return (
            self.reconstruction + recipe.sparsity_at(step) * self.sparsity + recipe.preactivation * self.preactivation
        )


def loss(dictionary: CrossLayerDictionary, x: Tensor, y: Tensor, saturation: float) -> Loss:
    """Loss parts on a batch of inputs x and targets y, both [l, n, d] and normalised."""
    n = x.shape[1]
    h = dictionary.preactivation(x)
    a = dictionary.activate(h)
    norms = dictionary.decoder_norms()
    sparsity = torch.tanh((saturation * norms)[:, None] * a).sum() / n
    # The threshold is held: inactive on almost all tokens, every feature would be pulled to a threshold of 0.
    below = torch.relu(dictionary.threshold.detach()[:, None] - h).sum(1)
    preactivation = (below * norms).sum() / n
    reconstruction = (dictionary.decode(a) - y).square().sum() / n
    return Loss(reconstruction, sparsity, preactivation, (a.detach() > 0).sum() / n)
