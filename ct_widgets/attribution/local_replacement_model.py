"""The local replacement model: one prompt's model with features in place of MLPs and everything else frozen.

[CT25, "The local replacement model"]. Axes: l (m) layer, p position, d model, s active feature, v vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ct_widgets.attribution.active_features import ActiveFeatures, FeatureWrites, find_active, read_writes
from ct_widgets.attribution.frozen_forward import frozen_forward
from ct_widgets.errors import ModelError
from ct_widgets.language_model import FrozenMap, FrozenRun, LanguageModel
from ct_widgets.transcoders import Transcoder


class Stream(NamedTuple):
    """A residual stream at the places where it is read.

    inputs: [l, p, d], what each layer's transcoder reads; normed: [p, d], what the unembedding reads.
    """

    inputs: Tensor
    normed: Tensor


@dataclass(frozen=True, eq=False)
class LocalReplacementModel:
    """Frozen attention and norms, the active features' writes, and error vectors that close the gap.

    explicit_map: the frozen linear map, or None for a family that only autograd can trace;
    error: [l, p, d], what the transcoder misses of each MLP output; constant: [l, p, d], what an MLP output owes to
    no node: the decoder's bias, and the whole output before `first_position` (see `build`); silent: the stream that is
    left when every node is silent, the part of each input that is bias.
    """

    model: LanguageModel
    run: FrozenRun
    explicit_map: FrozenMap | None
    transcoder: Transcoder
    writes: FeatureWrites
    error: Tensor
    constant: Tensor
    silent: Stream
    first_position: int

    @classmethod
    def build(
        cls,
        model: LanguageModel,
        transcoder: Transcoder,
        tokens: Tensor,
        *,
        ignore_bos: bool = True,
        max_memory: float = float("inf"),
    ) -> LocalReplacementModel:
        """Run the prompt `tokens` [p] once and replace its MLPs.

        With `ignore_bos`, position 0 has no features and no error vectors (its activations are huge and say
        nothing about the prompt): what its MLPs write becomes a constant, so the logits stay the model's. Raises
        GraphError if what the active features write takes more than `max_memory` bytes.
        """
        run = model.frozen_run(tokens, transcoder.feature_input_hook, only_last_logits=True)
        explicit_map = model.explicit_map(run)
        first = int(ignore_bos)
        written = run.mlp_out
        if transcoder.W_skip is not None:
            written = written - torch.stack([transcoder.skip(layer, x) for layer, x in enumerate(run.mlp_input)])
        b_dec = torch.stack([b.to(written) for b in transcoder.b_dec])
        constant = b_dec[:, None].repeat(1, run.n_positions, 1)
        constant[:, :first] = written[:, :first]
        silent = _propagate(model, transcoder, run, explicit_map, torch.zeros_like(run.embedding), constant)
        writes = read_writes(transcoder, find_active(transcoder, run, silent.inputs, first), max_memory)
        error = written - constant - writes.total
        error[:, :first] = 0
        return cls(model, run, explicit_map, transcoder, writes, error, constant, silent, first)

    @property
    def frozen_map(self) -> FrozenMap:
        """The frozen linear map; raises ModelError for a family that only autograd can trace."""
        if self.explicit_map is None:
            raise ModelError(f"the frozen linear map of {self.model.name} is not known")
        return self.explicit_map

    @property
    def features(self) -> ActiveFeatures:
        """The active features of the prompt."""
        return self.writes.features

    @property
    def mlp_write(self) -> Tensor:
        """What all MLPs add, rebuilt from nodes and constants, without the skip connection. -> [l, p, d]."""
        return self.constant + self.writes.total + self.error

    def logits(self, positions: slice = slice(None)) -> Tensor:
        """Logits of the local replacement model, rebuilt from its nodes; they equal the model's. -> [p, v]."""
        run, mlp_write = self.run, self.mlp_write
        stream = _propagate(self.model, self.transcoder, run, self.explicit_map, run.embedding, mlp_write)
        return self.model.unembedding(stream.normed[positions])


def _propagate(
    model: LanguageModel,
    transcoder: Transcoder,
    run: FrozenRun,
    explicit_map: FrozenMap | None,
    embedding: Tensor,
    mlp_write: Tensor,
) -> Stream:
    """Send an embedding [p, d] and MLP writes [l, p, d] through the frozen model, with all its constants."""
    if explicit_map is None:
        forward = frozen_forward(model, transcoder, run, embedding, mlp_write)
        return Stream(forward.inputs.detach(), forward.normed.detach())
    before = run.reads_before_attention(explicit_map)
    x = embedding + run.position_embedding
    inputs: list[Tensor] = []
    for layer in range(run.n_layers):
        mid = x + run.attend(explicit_map, layer, x)
        inputs.append(run.read(explicit_map, layer, x if before else mid, affine=True))
        x = mid + mlp_write[layer]
        if transcoder.W_skip is not None:
            x += transcoder.skip(layer, inputs[-1])
    return Stream(torch.stack(inputs), run.normed(explicit_map, x))
