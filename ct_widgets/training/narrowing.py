"""Narrowing: a trained dictionary keeps its strongest features alone, as many in every layer.

Axes: l layer, n token, f feature, d model.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import Tensor, nn

from ct_widgets.errors import TrainingError
from ct_widgets.training.activations import Activations
from ct_widgets.training.dictionary import Dictionary
from ct_widgets.training.trainer import Training


@torch.no_grad()
def narrow(training: Training, activations: Activations, width: int) -> Training:
    """The run with the `width` features of every layer that write most to the model over these tokens.

    What a feature writes is its mean activation times the norm of all its decoder vectors; dead ones write nothing.
    """
    dictionary = training.dictionary
    n_layers, n_features = dictionary.b_enc.shape
    if not 1 <= width <= n_features:
        raise TrainingError(f"width is {width}; the dictionary has {n_features} features per layer")
    x = training.inputs(activations.x)
    written = torch.stack([dictionary.activate_layer(layer, x[layer]).mean(0) for layer in range(n_layers)])
    strongest = (written * dictionary.decoder_norms()).topk(width, dim=1).indices.sort(dim=1).values
    return replace(training, dictionary=_keep(dictionary, strongest))


def _keep(dictionary: Dictionary, features: Tensor) -> Dictionary:
    """A copy with these features alone; features: [l, f]."""
    kept = copy.deepcopy(dictionary)
    layers = torch.arange(len(features), device=features.device)[:, None]
    names = ["W_enc", "b_enc"] if kept.log_threshold is None else ["W_enc", "b_enc", "log_threshold"]
    for name in names:
        setattr(kept, name, nn.Parameter(getattr(dictionary, name)[layers, features]))
    kept.W_dec = nn.ParameterList(W[rows] for W, rows in zip(dictionary.W_dec, features, strict=True))
    return kept
