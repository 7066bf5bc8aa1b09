"""A language model's own neurons as a transcoder [CT25, "Evaluating"]."""

from __future__ import annotations

from typing import cast

from torch import Tensor

from ct_widgets.errors import ModelError
from ct_widgets.language_model import MLP_IN, MLP_OUT, LanguageModel
from ct_widgets.language_model.frozen_run import relative_error
from ct_widgets.transcoders import NeuronTranscoder, Transcoder


def neuron_transcoder(model: LanguageModel, threshold: float = 0.0) -> Transcoder:
    """A model's neurons as a transcoder, checked against what its MLPs write on a short run."""
    mlps = model.mlp_weights
    first = mlps[0]
    has_norm = first.norm_weight is not None
    neurons = NeuronTranscoder(
        kind="neurons",
        activation="mlp",
        W_enc=[mlp.W_in for mlp in mlps],
        b_enc=[mlp.b_in for mlp in mlps],
        W_dec=[(mlp.W_out if mlp.norm_weight is None else mlp.W_out * mlp.norm_weight)[:, None] for mlp in mlps],
        b_dec=[mlp.b_out for mlp in mlps],
        function=first.function,
        W_gate=None if first.W_gate is None else [cast("Tensor", mlp.W_gate) for mlp in mlps],
        b_gate=None if first.b_gate is None else [cast("Tensor", mlp.b_gate) for mlp in mlps],
        W_out=[mlp.W_out for mlp in mlps] if has_norm else None,
        norm_eps=first.norm_eps,
        feature_input_hook=MLP_IN,
        feature_output_hook=MLP_OUT,
        model_name=model.name,
        name=f"{model.name}-neurons",
    )
    run = model.frozen_run(model.tokens(range(min(8, model.d_vocab, model.n_ctx))), neurons.feature_input_hook)
    written = neurons.decode([neurons.encode(layer, x) for layer, x in enumerate(run.mlp_input)])
    if any(relative_error(y, own) > model.tolerance for y, own in zip(written, run.mlp_out, strict=True)):
        raise ModelError(f"{model.name}: its MLPs write something else than its neurons add up to")
    return neurons.above(threshold) if threshold else neurons
