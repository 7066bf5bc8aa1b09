"""The targets of an attribution graph: directions at the output, by default the likeliest tokens' logits.

Axes: t target, d model, v vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from ct_widgets.attribution.local_replacement_model import LocalReplacementModel
from ct_widgets.errors import TargetError

SHARE = 0.95
MOST = 10

Token: TypeAlias = str | int
Target: TypeAlias = Token | tuple[Token, Token] | Tensor
"""A token (its logit minus the mean logit); two tokens (the first's logit minus the second's); or a direction [d] that
reads the output of the final norm."""


@dataclass(frozen=True, eq=False)
class LogitTargets:
    """Targets at the last position, by falling weight.

    index: [t], the token id, or d_vocab and up for other targets than single tokens; probability: [t], of the token, of
    both tokens of a difference together, 1 for a direction; direction: [t, d] at the output of the final norm;
    value, bias: [t], in logits.
    """

    index: Tensor
    text: list[str]
    probability: Tensor
    direction: Tensor
    value: Tensor
    bias: Tensor


class _Direction(NamedTuple):
    """One target. vector: [d], at the output of the final norm; offset: what the unembedding's bias adds."""

    token_id: int
    text: str
    probability: float
    vector: Tensor
    offset: float


def logit_targets(local: LocalReplacementModel, targets: Sequence[Target] | None = None) -> LogitTargets:
    """Read what a user wants explained; by default the likeliest tokens up to 95 % probability, at most 10.

    Values are before any soft-cap, probabilities after it [CT25, "Attribution graphs"]. Raises TargetError for what is
    not a token, a pair of tokens or a direction of this model.

    >>> logit_targets(local, ["95", ("95", "94")]).text
    ['95', '95 − 94']
    """
    reader = _Reader(local)
    directions = reader.tokens(reader.likeliest()) if targets is None else reader.read(targets)
    directions.sort(key=lambda direction: -direction.probability)
    vector = torch.stack([direction.vector for direction in directions])
    offset = vector.new_tensor([direction.offset for direction in directions])
    return LogitTargets(
        index=torch.tensor([direction.token_id for direction in directions]),
        text=[direction.text for direction in directions],
        probability=vector.new_tensor([direction.probability for direction in directions]),
        direction=vector,
        value=vector @ local.run.normed_final[-1] + offset,
        bias=vector @ local.silent.normed[-1] + offset,
    )


class _Reader:
    """Turns what a user names into directions."""

    def __init__(self, local: LocalReplacementModel) -> None:
        self.model = local.model.language_model
        self.unembedding = self.model.unembedding
        self.probability = local.run.logits[-1].softmax(-1)

    def likeliest(self) -> Tensor:
        """Find the ids of the fewest tokens that hold the default share, at most `MOST`."""
        top = self.probability.topk(min(MOST, len(self.probability)))
        # The token that crosses the share is included.
        return top.indices[: int((top.values.cumsum(0) < SHARE).sum()) + 1]

    def read(self, targets: Sequence[Target]) -> list[_Direction]:
        """Turn every target into a direction."""
        if isinstance(targets, str) or not len(targets):
            raise TargetError(f"targets is {targets!r}; give a list of tokens, such as ['95'], token ids or pairs")
        directions = [self._direction(target, number) for number, target in enumerate(targets)]
        if len({direction.token_id for direction in directions}) < len(directions):
            raise TargetError("targets names a token twice; give each token once")
        return directions

    def _direction(self, target: Target, number: int) -> _Direction:
        custom = len(self.probability) + number  # ids above the vocabulary, as circuit-tracer's files have them
        if isinstance(target, Tensor):
            if target.shape != self.unembedding.mean.shape:
                raise TargetError(
                    f"direction {number} has shape {tuple(target.shape)}; "
                    f"expected [{self.model.d_model}], d_model of {self.model.name}"
                )
            return _Direction(custom, f"direction {number}", 1.0, target.to(self.unembedding.mean), 0.0)
        if not isinstance(target, tuple):
            return self.tokens(self._ids(target))[0]
        if len(target) != 2:
            raise TargetError(f"target {target!r} has {len(target)} parts; a difference is a pair of tokens")
        plus, minus = self.tokens(self._ids(*target))
        return _Direction(
            custom,
            f"{plus.text} − {minus.text}",
            plus.probability + minus.probability,
            plus.vector - minus.vector,
            plus.offset - minus.offset,
        )

    def tokens(self, ids: Tensor) -> list[_Direction]:
        """Make the direction of each token [t]: its logit minus the mean over the vocabulary."""
        W_U, b_U, scale = self.unembedding.W_U, self.unembedding.b_U, self.unembedding.scale
        vector = scale * (W_U[:, ids].T - self.unembedding.mean)
        offset = scale * (b_U[ids] - b_U.mean())
        index = ids.tolist()
        columns = (index, self.model.str_tokens(index), self.probability[ids].tolist(), vector, offset.tolist())
        return [_Direction(*target) for target in zip(*columns, strict=True)]

    def _ids(self, *tokens: Token) -> Tensor:
        ids = [self.model.single_token(token) if isinstance(token, str) else int(token) for token in tokens]
        for i in ids:
            if not 0 <= i < len(self.probability):
                raise TargetError(
                    f"target {i} is not a token id; {self.model.name} has ids 0 to {len(self.probability) - 1}"
                )
        return torch.tensor(ids, device=self.probability.device)
