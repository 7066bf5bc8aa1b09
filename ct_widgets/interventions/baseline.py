"""Prompts as the model runs them, with what interventions compare with, each part computed when first asked for.

Axes: n prompt (none for a single one), l layer, p (q, k) position, f feature, c set feature, d model, h head,
g key-value group, e head dimension, r row of a changed run.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from ct_widgets.interventions.intervention import Changes, Sets
from ct_widgets.language_model import FrozenRun
from ct_widgets.language_model.frozen_run import relative_error
from ct_widgets.language_model.live_blocks import LiveModel
from ct_widgets.transcoded_model import TranscodedModel
from ct_widgets.transcoders import Transcoder


class Baseline:
    """The unchanged run of one prompt [p], or of many of one length [n, p]; no intervention writes to it.

    run: the recorded forward pass; live: the model's blocks as functions, or None for a family that only hooks can
    change. On one prompt several changes run at once, a row each; on many prompts one change, with a row per prompt.
    """

    def __init__(self, model: TranscodedModel, tokens: Tensor) -> None:
        self.model, self.language_model, self.transcoder = model, model.language_model, model.transcoder
        self.has_one_prompt = tokens.ndim == 1
        self.run: FrozenRun = self.language_model.frozen_run(
            tokens, self.transcoder.feature_input_hook, only_last_logits=not self.has_one_prompt
        )
        self._activations: dict[int, Tensor] = {}
        self._values: dict[int, Tensor] = {}

    @property
    def n_layers(self) -> int:
        """Number of layers."""
        return self.run.n_layers

    @property
    def n_positions(self) -> int:
        """Length of a prompt in tokens."""
        return self.run.n_positions

    def n_rows(self, changes: Sequence[Changes]) -> int:
        """Rows of a run under these changes."""
        return len(changes) if self.has_one_prompt else len(self.run.tokens)

    def rows(self, changes: Sequence[Changes]) -> list[tuple[slice, Changes]]:
        """Pair each change with the rows that it is made in."""
        if self.has_one_prompt:
            return [(slice(n, n + 1), one) for n, one in enumerate(changes)]
        (one,) = changes
        return [(slice(None), one)]

    def activations(self, layer: int) -> Tensor:
        """Encode the activations of all features of one layer. -> [p, f] or [n, p, f]."""
        if not self.has_one_prompt:  # too large to be kept
            return self.transcoder.encode(layer, self.run.mlp_input[layer])
        if layer not in self._activations:
            self._activations[layer] = self.transcoder.encode(layer, self.run.mlp_input[layer])
        return self._activations[layer]

    def activations_of(self, layer: int, place: Sets) -> Tensor:
        """Activations of the features that are set. -> [1, c] or [n, c]."""
        if self.has_one_prompt:
            return self.activations(layer)[None, place.position, place.feature]
        return encode_at(self.transcoder, layer, self.run.mlp_input[layer], place.position, place.feature)

    @cached_property
    def live(self) -> LiveModel | None:
        """The model's blocks as functions, if they are shown to reproduce this run from its first layer on."""
        live = self.language_model.live_model()
        if live is None:
            return None
        with torch.no_grad():
            return live if self._disagreement(live) <= self.language_model.tolerance else None

    def _disagreement(self, live: LiveModel) -> float:
        """Largest relative error when the blocks run the first prompt from the embeddings on."""
        run, x, worst = self.run, self._first(self.run.resid_pre[0]), 0.0
        none = live.blocks[0].values(x)[0, :0]
        for layer, block in enumerate(live.blocks):
            middle = x + block.attention(x, self._first(run.pattern[layer], 4), none)
            read = block.read(run.input_hook, x, middle)
            worst = max(worst, relative_error(read, self._first(run.mlp_input[layer])))
            x = middle + block.mlp(x if block.parallel else middle)
        worst = max(worst, relative_error(x, self._first(run.resid_final)))
        return max(worst, relative_error(live.final(x), self._first(run.normed_final)))

    def _first(self, value: Tensor, ndim: int = 3) -> Tensor:
        """The first prompt's part of a recorded tensor, as a batch of one."""
        return value[None] if value.ndim < ndim else value[:1]

    def values_of(self, live: LiveModel, layer: int) -> Tensor:
        """Attention's values of every position in this run. -> [r, k, g, e], with one row for one prompt."""
        if layer not in self._values:
            x = self.run.resid_pre[layer]
            self._values[layer] = live.blocks[layer].values(x[None] if self.has_one_prompt else x)
        return self._values[layer]


def encode_at(transcoder: Transcoder, layer: int, x: Tensor, position: Tensor, feature: Tensor) -> Tensor:
    """Encode x [r, p, d] at the positions of features [c] alone. -> [r, c]."""
    some, place = position.unique(return_inverse=True)
    return transcoder.encode(layer, x[:, some])[:, place, feature]
