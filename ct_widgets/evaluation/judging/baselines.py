"""Random directions in place of a transcoder's features: the control that a dictionary has to beat.

Axes: n token, f feature of one layer, d model.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from typing import TypeVar

import torch
from torch import Tensor

from ct_widgets.errors import FeatureError
from ct_widgets.language_model.corpus import RowMaker, Source, read_texts
from ct_widgets.transcoded_model import TranscodedModel

_TOKENS = 8192
_CONTEXT, _BATCH_TOKENS = 256, 8192

M = TypeVar("M", bound=TranscodedModel)


def random_features(model: M, texts: Source, *, seed: int = 0, tokens: int = _TOKENS) -> M:
    """Put random directions in place of a model's features, each active as often as one of the transcoder's.

    The first `tokens` tokens of `texts` say how often that is. Encoders have the norms of the transcoder's; a random
    feature writes what the transcoder's feature of that number does, which has nothing to do with what it reads.
    Raises FeatureError for texts without a token to count.

    >>> store = ct.collect_features(random_features(model, texts), texts, "random")
    """
    t = model.transcoder
    generator = torch.Generator().manual_seed(seed)
    x = _inputs(model, texts, tokens)
    encoders: list[Tensor] = []
    biases: list[Tensor] = []
    for layer in range(t.n_layers):
        own = t.W_enc[layer].float()
        drawn = torch.randn(own.shape, generator=generator).to(own.device)
        drawn *= own.norm(dim=1, keepdim=True) / drawn.norm(dim=1, keepdim=True)
        encoders.append(drawn)
        active = (t.encode(layer, x[layer]) != 0).sum(0)
        biases.append(-_level(x[layer] @ drawn.T, active))
    name = f"{t.name}-random-{seed}"
    made = replace(t, activation="relu", threshold=None, k=None, W_enc=encoders, b_enc=biases, name=name)
    return model.with_transcoder(made)


def _level(h: Tensor, active: Tensor) -> Tensor:
    """The value that as many tokens exceed as are asked for; infinite for none. h: [n, f]; active: [f] -> [f]."""
    ranked = h.sort(dim=0, descending=True).values
    last, next_one = (ranked.gather(0, place.clamp(0, len(h) - 1)[None])[0] for place in (active - 1, active))
    level = torch.where(active < len(h), (last + next_one) / 2, last - 1)
    return torch.where(active > 0, level, torch.inf)


def _inputs(model: TranscodedModel, texts: Source, tokens: int) -> list[Tensor]:
    """The transcoder's inputs at the first tokens that count, L x [n, d]."""
    t, language_model = model.transcoder, model.language_model
    hooks = language_model.hook_names(t.feature_input_hook)
    rows = RowMaker(language_model, _CONTEXT, _BATCH_TOKENS, ignore_bos=True)
    some: Iterable[object] = islice(read_texts(texts), tokens)
    parts: list[list[Tensor]] = []
    seen = 0
    for batch in rows.batches(list(some), 0):  # pyright: ignore[reportArgumentType]
        x = language_model.activations(torch.from_numpy(batch.ids).to(language_model.device), hooks)
        counts = torch.from_numpy(batch.counts)
        parts.append([x[hook].float()[counts.to(x[hook].device)] for hook in hooks])
        seen += int(counts.sum())
        if seen >= tokens:
            break
    if not seen:
        raise FeatureError("there is no token to count in these texts; pass longer ones")
    return [torch.cat(layer)[:tokens] for layer in zip(*parts, strict=True)]
