"""Virtual weights block by block: the write of a source as a target reads it through the residual stream alone.

    V[s, t] = < sum over l_s <= l < l_t of W_dec^{s -> l}, W_enc^t >     [CT25, "Global weights"]

Paths through attention, and through skip connections of a transcoder, depend on more than the two features and are
left out. A transcoder that reads behind a norm sees the stream centred and weighted as the norm does,
which is folded into W_enc; the norm's denominator belongs to a prompt and is left out, so that such weights are per
unit of it.

Axes: s source, t target, l layer, m output layer of a source counted from its own, d model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from torch import Tensor

from ct_widgets.global_weights.feature_set import FeatureSet
from ct_widgets.language_model import LanguageModel
from ct_widgets.language_model.frozen_run import READ_POINTS
from ct_widgets.transcoded_model import TranscodedModel

_SOURCES, _TARGETS = 1024, 8192
"""Features of a block: 32 MiB of weights, and decoders of 1,024 features at a time."""


class Block(NamedTuple):
    """V [s, t] of consecutive features of both sets, whose places are these."""

    sources: slice
    targets: slice
    virtual: Tensor


def read_directions(model: LanguageModel, hook: str, layer: int, encoders: Tensor) -> Tensor:
    """Turn encoders [t, d] that read at `hook` into directions of the residual stream at that layer's MLP -> [t, d]."""
    point = READ_POINTS[hook]
    if point in ("pre", "mid"):
        return encoders
    norm = model.mlp_norm(layer)
    if point == "normalized":
        return encoders - encoders.mean(-1, keepdim=True) if norm.centred else encoders
    return norm.fold_into(encoders.T).T


def blocks(
    model: TranscodedModel, sources: FeatureSet, targets: FeatureSet, advance: Callable[[], None]
) -> Iterator[Block]:
    """Yield V of all sources to all targets of higher layers; calls `advance` after each of `n_parts(sources)` parts.

    Each decoder row is read once; of a memory-mapped file nothing else.
    """
    t = model.transcoder
    for layer in range(t.n_layers - 1):
        start = int(sources.start[layer])
        for index in sources.index(layer).split(_SOURCES):
            part = slice(start, start + len(index))
            start = part.stop
            # [s, m, d]: what a source has written by each output layer.
            written = t.decoder_vectors(layer, index).cumsum(1)
            for reader in range(layer + 1, t.n_layers):
                seen = written[:, min(reader - layer, written.shape[1]) - 1]
                for place, read in _readers(model, reader, targets):
                    yield Block(part, place, seen @ read.to(seen.dtype).T)
            advance()


def n_parts(sources: FeatureSet) -> int:
    """Count the parts in which `blocks` reads the sources."""
    return sum(-(-len(sources.index(layer)) // _SOURCES) for layer in range(len(sources.n_features) - 1))


def _readers(model: TranscodedModel, layer: int, targets: FeatureSet) -> Iterator[tuple[slice, Tensor]]:
    """Yield the places of the targets of one layer, some at a time, and the directions that they read [t, d]."""
    t = model.transcoder
    start = int(targets.start[layer])
    for index in targets.index(layer).split(_TARGETS):
        place = slice(start, start + len(index))
        start = place.stop
        if not len(index):
            continue
        encoders = t.encoder_vectors(layer, index.to(t.device))
        yield place, read_directions(model.language_model, t.feature_input_hook, layer, encoders)
