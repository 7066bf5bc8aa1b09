"""The training loss of a transcoder [CT25, "Cross-layer transcoder"], per token.

    sum_l ||yhat^l - y^l||^2  +  lambda sum_l,i tanh(c ||W_dec,i^l|| a_i^l)
                              +  lambda_P sum_l,i ReLU(theta_i^l - h_i^l) ||W_dec,i^l||

TopK and BatchTopK, which set the number of active features themselves, have the first term alone.
Axes: l layer, n token, f feature, d model.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ct_widgets.training import sparse_code
from ct_widgets.training.config import TrainingConfig
from ct_widgets.training.dictionary import Dictionary


class Loss(NamedTuple):
    """Means over the tokens of a batch, before lambda and lambda_P.

    reconstruction: [l]; sparsity, preactivation: scalars; fired: [l, f], on how many tokens a feature is active.
    """

    reconstruction: Tensor
    sparsity: Tensor
    preactivation: Tensor
    fired: Tensor

    def total(self, config: TrainingConfig, penalty: float) -> Tensor:
        """Add up the minimised loss; penalty: lambda."""
        reconstruction = self.reconstruction.sum()
        if config.chooses_k:
            return reconstruction
        return reconstruction + penalty * self.sparsity + config.preactivation * self.preactivation


def loss(dictionary: Dictionary, x: Tensor, y: Tensor) -> Loss:
    """Compute the parts of the loss on a batch of inputs x and targets y, both [l, n, d] and normalised."""
    n = x.shape[1]
    if dictionary.config.chooses_k:
        active, values = sparse_code.encode(dictionary, x)
        error = (sparse_code.decode(dictionary, active, values, x) - y).square().sum((1, 2))
        return Loss(error / n, nothing := x.new_zeros(()), nothing, active.fired)
    h = dictionary.preactivation(x)
    a = dictionary.activate(h)
    norms = dictionary.decoder_norms()
    sparsity = torch.tanh((dictionary.config.saturation * norms)[:, None] * a).sum() / n
    # The threshold is held: inactive on almost all tokens, every feature would be pulled to a threshold of 0.
    below = torch.relu(dictionary.threshold.detach()[:, None] - h).sum(1)
    preactivation = (below * norms).sum() / n
    reconstruction = (dictionary.decode(a, x) - y).square().sum((1, 2)) / n
    return Loss(reconstruction, sparsity, preactivation, (a.detach() > 0).sum(1))
