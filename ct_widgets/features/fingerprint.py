"""A hash by which a store knows its transcoder."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from ct_widgets.transcoders import Transcoder

_ROWS = 64


def fingerprint(transcoder: Transcoder) -> str:
    """Hash a transcoder by SHA-256: shapes, settings, biases, thresholds, and 64 rows of every encoder and decoder.

    Rows are spread evenly over the features, so that a decoder of many gigabytes is not read for it. Values count in
    float32, wherever and in whatever precision they are kept.
    """
    total = hashlib.sha256()
    facts = (transcoder.kind, transcoder.activation, transcoder.k, transcoder.feature_input_hook)
    total.update(repr(facts).encode())

    def add(value: Tensor) -> None:
        total.update(repr(tuple(value.shape)).encode())
        total.update(value.detach().float().cpu().contiguous().numpy().tobytes())

    for layer in range(transcoder.n_layers):
        n = transcoder.n_features(layer)
        rows = torch.linspace(0, n - 1, min(n, _ROWS), device=transcoder.device).long()
        add(transcoder.b_enc[layer])
        add(transcoder.b_dec[layer])
        add(transcoder.encoder_vectors(layer, rows))
        add(transcoder.decoder_vectors(layer, rows))
        if transcoder.threshold is not None:
            add(transcoder.threshold[layer])
    return f"sha256:{total.hexdigest()}"
