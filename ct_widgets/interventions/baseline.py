"""One prompt as the model runs it, with what interventions compare with, each part computed when first asked for.

Axes: l layer, p (q, k) position, f feature, d model, h head, g key-value group, e head dimension.
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from ct_widgets.language_model import FrozenRun, LanguageModel
from ct_widgets.language_model.frozen_run import relative_error
from ct_widgets.language_model.live_blocks import LiveModel
from ct_widgets.transcoders import Transcoder


class Baseline:
    """The unchanged run of one prompt; read by every intervention on it and never written to.

    run: the recorded forward pass; live: the model's blocks as functions, or None for a family that only hooks can
    change.
    """

    def __init__(self, model: LanguageModel, transcoder: Transcoder, tokens: Tensor) -> None:
        self.model, self.transcoder = model, transcoder
        self.run: FrozenRun = model.frozen_run(tokens, transcoder.feature_input_hook)
        self._activations: dict[int, Tensor] = {}
        self._values: dict[int, Tensor] = {}

    @property
    def n_layers(self) -> int:
        """Number of layers."""
        return self.run.n_layers

    @property
    def n_positions(self) -> int:
        """Length of the prompt in tokens."""
        return self.run.n_positions

    def activations(self, layer: int) -> Tensor:
        """Activations of all features of one layer. -> [p, f]."""
        if layer not in self._activations:
            self._activations[layer] = self.transcoder.encode(layer, self.run.mlp_input[layer])
        return self._activations[layer]

    @cached_property
    def live(self) -> LiveModel | None:
        """The model's blocks as functions, if they are shown to reproduce this run from its first layer on."""
        live = self.model.live_model()
        if live is None:
            return None
        with torch.no_grad():
            return live if self._disagreement(live) <= self.model.tolerance else None

    def _disagreement(self, live: LiveModel) -> float:
        """Largest relative error when the blocks run this prompt from the embeddings on."""
        run, x, worst = self.run, self.run.resid_pre[0][None], 0.0
        for layer, block in enumerate(live.blocks):
            middle = x + block.attention(x, run.pattern[layer], self.values_of(live, layer)[:0])
            read = block.read(run.input_hook, x, middle)
            worst = max(worst, relative_error(read[0], run.mlp_input[layer]))
            x = middle + block.mlp(x if block.parallel else middle)
        worst = max(worst, relative_error(x[0], run.resid_final))
        return max(worst, relative_error(live.final(x)[0], run.normed_final))

    def values_of(self, live: LiveModel, layer: int) -> Tensor:
        """Attention's values of every position in this run. -> [k, g, e]."""
        if layer not in self._values:
            self._values[layer] = live.blocks[layer].values(self.run.resid_pre[layer][None])[0]
        return self._values[layer]
