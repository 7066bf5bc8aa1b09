"""A language model's own neurons as a transcoder [CT25, "Evaluating"]."""

from __future__ import annotations

from ct_widgets.errors import ModelError
from ct_widgets.language_model import MLP_IN, MLP_OUT, LanguageModel
from ct_widgets.language_model.frozen_run import relative_error
from ct_widgets.transcoders import NeuronActivation, Transcoder


def neuron_transcoder(model: LanguageModel, threshold: float = 0.0) -> Transcoder:
    """Make a transcoder of a model's neurons, checked against what its MLPs write on a short run.

    threshold: neurons that write less than this, |activation| times the norm of their output weights, are inactive.
    Raises ModelError for MLPs that write something else than their neurons add up to.

    >>> model.with_transcoder(neuron_transcoder(model.language_model, 0.5))
    """
    mlps = model.mlp_weights
    neurons = Transcoder(
        kind="neurons",
        activation="mlp",
        W_enc=[mlp.W_in for mlp in mlps],
        b_enc=[mlp.b_in for mlp in mlps],
        W_dec=[(mlp.W_out if mlp.norm_weight is None else mlp.W_out * mlp.norm_weight)[:, None] for mlp in mlps],
        b_dec=[mlp.b_out for mlp in mlps],
        neurons=[
            NeuronActivation(
                mlp.function, mlp.W_gate, mlp.b_gate, None if mlp.norm_weight is None else mlp.W_out, mlp.norm_eps
            )
            for mlp in mlps
        ],
        feature_input_hook=MLP_IN,
        feature_output_hook=MLP_OUT,
        model_name=model.name,
        name=f"{model.name}-neurons",
    )
    run = model.frozen_run(model.tokens(range(min(8, model.d_vocab, model.n_ctx))), neurons.feature_input_hook)
    written = neurons.decode([neurons.encode(layer, x) for layer, x in enumerate(run.mlp_input)])
    if any(relative_error(y, own) > model.tolerance for y, own in zip(written, run.mlp_out, strict=True)):
        raise ModelError(f"{model.name}: its MLPs write something else than its neurons add up to")
    return neurons.with_min_output_norm(threshold) if threshold else neurons
