"""Drops the features of a trained dictionary that write least to the model, equally many in every layer.

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
from ct_widgets.training.result import Training


@torch.no_grad()
def keep_strongest(training: Training, activations: Activations, n_features: int) -> Training:
    """Copy a run, with only the `n_features` features of every layer that write most over these tokens.

    A feature writes its mean activation times the norm of all its decoder vectors; a dead one writes nothing.

    Raises TrainingError for more features than there are, or none.

    >>> keep_strongest(training, read_activations(model, sequences, config.input_hook, config.output_hook), 600)
    """
    dictionary = training.dictionary
    n_layers, most = dictionary.b_enc.shape
    if not 1 <= n_features <= most:
        raise TrainingError(f"n_features is {n_features}; it must be between 1 and {most}, the features of a layer")
    x = training.inputs(activations.x)
    written = torch.stack([dictionary.activate_layer(layer, x[layer]).mean(0) for layer in range(n_layers)])
    strongest = (written * dictionary.decoder_norms()).topk(n_features, dim=1).indices.sort(dim=1).values
    return replace(training, dictionary=_select(dictionary, strongest))


def _select(dictionary: Dictionary, features: Tensor) -> Dictionary:
    """Copy a dictionary with these features alone; features: [l, f]."""
    kept = copy.deepcopy(dictionary)
    layers = torch.arange(len(features), device=features.device)[:, None]
    names = ["W_enc", "b_enc"] if kept.log_threshold is None else ["W_enc", "b_enc", "log_threshold"]
    for name in names:
        setattr(kept, name, nn.Parameter(getattr(dictionary, name)[layers, features]))
    kept.W_dec = nn.ParameterList(W[rows] for W, rows in zip(dictionary.W_dec, features, strict=True))
    return kept
