"""Logit weights of features, and what embeddings add to them: decoders and encoders seen through the vocabulary.

Axes: m output layer of a feature, d model, v vocabulary.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch

from ct_widgets.errors import FeatureError
from ct_widgets.feature_name import FeatureName
from ct_widgets.language_model.frozen_run import READ_POINTS
from ct_widgets.transcoded_model import TranscodedModel

_CACHED = 256

Float32 = npt.NDArray[np.float32]


class Directions:
    """Features of one model as directions over its vocabulary; what was asked for last is kept."""

    def __init__(self, model: TranscodedModel) -> None:
        self._language_model = model.language_model
        self._transcoder = model.transcoder
        self.output = lru_cache(_CACHED)(self._output)
        self.input = lru_cache(_CACHED)(self._input)

    def _output(self, layer: int, index: int, written: int | None) -> Float32:
        """Compute the logits per unit of activation and final norm's denominator, less their mean, [v]."""
        layers = self._transcoder.output_layers(layer)
        if written is not None and written not in layers:
            raise FeatureError(
                f"{FeatureName(layer, index)} writes to layers {layers[0]} to {layers[-1]}, not to {written}"
            )
        vectors = self._transcoder.decoder_vectors(layer, torch.tensor([index]))[0]
        direction = vectors.sum(0) if written is None else vectors[written - layer]
        unembedding = self._language_model.unembedding
        direction = direction.to(unembedding.W_U.device)
        normed = self._language_model.final_norm.linear(direction[None], direction.new_ones(1))[0]
        logits = unembedding.scale * (normed @ unembedding.W_U)
        return (logits - logits.mean()).cpu().numpy()

    def _input(self, layer: int, index: int) -> Float32:
        """Compute what the embedding of each token adds to the pre-activation at its own position, [v].

        Where the transcoder reads after a norm, that of the embedding by itself.
        """
        encoder = self._transcoder.encoder_vectors(layer, torch.tensor([index], device=self._transcoder.device))[0]
        x = self._language_model.embeddings.to(encoder.device)
        point = READ_POINTS[self._transcoder.feature_input_hook]
        if point in ("norm", "normalized"):
            norm = self._language_model.mlp_norm(layer)
            x = x - x.mean(-1, keepdim=True) if norm.centred else x
            x = x / x.square().mean(-1, keepdim=True).sqrt().clamp_min(1e-6)
            if point == "norm" and norm.weight is not None:
                x = x * norm.weight
        return (x @ encoder).cpu().numpy()

    def standing_out(self, layer: int, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Count the standard deviations of the most promoted of the tokens `ids` above the mean over the vocabulary.

        -> one number for every feature of the layer, [f].
        """
        W_U = self._language_model.final_norm.fold_into(self._language_model.unembedding.W_U)
        centred = W_U - W_U.mean(1, keepdim=True)
        covariance = centred @ centred.T / W_U.shape[1]
        written = self._transcoder.W_dec[layer].to(W_U).sum(1)
        spread = ((written @ covariance) * written).sum(-1).clamp_min(1e-20).sqrt()
        return ((written @ centred[:, torch.from_numpy(ids)]).max(1).values / spread).cpu().double().numpy()


def extremes(values: Float32, k: int, *, largest: bool = True) -> tuple[npt.NDArray[np.int64], Float32]:
    """Find the places of the `k` largest, or smallest, values and the values, the most extreme first, [k]."""
    sign = -1 if largest else 1
    k = min(k, len(values))
    ids = np.argpartition(sign * values, k - 1)[:k] if k else np.zeros(0, np.int64)
    ids = ids[np.lexsort((ids, sign * values[ids]))]
    return ids, values[ids]
