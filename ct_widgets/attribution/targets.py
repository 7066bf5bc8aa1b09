"""What an attribution graph explains: logits of the last position, as directions in the unembedding.

Axes: t target, d model, v vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ct_widgets.attribution.local_replacement_model import LocalReplacementModel
from ct_widgets.errors import TargetError
from ct_widgets.language_model import LanguageModel

SHARE = 0.95
MOST = 10


class LogitTargets(NamedTuple):
    """Logits minus their mean over the vocabulary, by falling probability.

    token_id, probability, value: [t]; vector: [t, d] at the final residual; bias: [t].
    """

    token_id: Tensor
    text: list[str]
    probability: Tensor
    vector: Tensor
    value: Tensor
    bias: Tensor


def logit_targets(
    model: LanguageModel, local: LocalReplacementModel, asked: Sequence[str | int] | None = None
) -> LogitTargets:
    """The targets `asked` for, as tokens or ids; by default the likeliest tokens up to 95 %, at most 10.

    Values are before any soft-cap, probabilities after it [CT25, "Attribution graphs"].
    """
    run, frozen_map = local.run, local.frozen_map
    probability = run.logits[-1].softmax(-1)
    ids = _likeliest(probability) if asked is None else _asked_ids(model, asked)
    ids = ids.to(probability.device)
    ids = ids[probability[ids].argsort(descending=True, stable=True)]
    direction = (frozen_map.W_U[:, ids] - frozen_map.W_U.mean(1, keepdim=True)).T
    b_U = frozen_map.b_U[ids] - frozen_map.b_U.mean()
    scale = run.scales["final"]

    def value(final: Tensor) -> Tensor:
        return direction @ frozen_map.ln_final(final, scale)[-1] + b_U

    return LogitTargets(
        token_id=ids,
        text=model.str_tokens(ids),
        probability=probability[ids],
        vector=frozen_map.ln_final.pull_back(direction, scale[-1].expand(len(ids))),
        value=value(run.resid_final),
        bias=value(local.constants().final),
    )


def _likeliest(probability: Tensor) -> Tensor:
    top = probability.topk(min(MOST, len(probability)))
    # The token that crosses the share is included.
    return top.indices[: int((top.values.cumsum(0) < SHARE).sum()) + 1]


def _asked_ids(model: LanguageModel, asked: Sequence[str | int]) -> Tensor:
    if isinstance(asked, str) or not len(asked):
        raise TargetError(f"targets is {asked!r}; give a list of tokens, such as ['95'], or of token ids")
    ids = [model.single_token(item) if isinstance(item, str) else int(item) for item in asked]
    for i in ids:
        if not 0 <= i < model.d_vocab:
            raise TargetError(f"target {i} is no token id; {model.name} has ids 0 to {model.d_vocab - 1}")
    if len(set(ids)) < len(ids):
        raise TargetError(f"targets {list(asked)!r} name a token twice; give each once")
    return torch.tensor(ids)
