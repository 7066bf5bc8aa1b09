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
from ct_widgets.attribution.tuning import Tuning, tuning_for
from ct_widgets.errors import ModelError
from ct_widgets.language_model import FrozenMap, FrozenRun
from ct_widgets.transcoded_model import TranscodedModel


class Stream(NamedTuple):
    """A residual stream at the places where it is read.

    inputs: [l, p, d], what each layer's transcoder reads; normed: [p, d], what the unembedding reads.
    """

    inputs: Tensor
    normed: Tensor


@dataclass(frozen=True, eq=False)
class LocalReplacementModel:
    """Frozen attention and norms, the active features, and error vectors that close the gap; made by `replace_mlps`.

    explicit_map: the frozen linear map, or None for a family that only autograd can trace;
    error: [l, p, d], what the transcoder misses of each MLP output; mlp_write: [l, p, d], what all MLPs add, rebuilt
    from nodes and constants, without the skip connection; silent: the stream that is left when every node is silent,
    the part of each input that is bias.
    """

    model: TranscodedModel
    run: FrozenRun
    explicit_map: FrozenMap | None
    features: ActiveFeatures
    error: Tensor
    mlp_write: Tensor
    silent: Stream
    first_position: int

    @property
    def frozen_map(self) -> FrozenMap:
        """The frozen linear map; raises ModelError for a family that only autograd can trace."""
        if self.explicit_map is None:
            raise ModelError(f"the frozen linear map of {self.model.language_model.name} is not known")
        return self.explicit_map

    def logits(self, positions: slice = slice(None)) -> Tensor:
        """Compute the logits of the local replacement model from its nodes; they equal the model's. -> [p, v]."""
        stream = _propagate(self.model, self.run, self.explicit_map, self.run.embedding, self.mlp_write)
        return self.model.language_model.unembedding(stream.normed[positions])


def replace_mlps(
    model: TranscodedModel,
    tokens: Tensor,
    *,
    ignore_bos: bool = True,
    max_memory: float = float("inf"),
    tuning: Tuning | None = None,
) -> tuple[LocalReplacementModel, FeatureWrites]:
    """Run the prompt `tokens` [p] once and replace its MLPs; returns the model and what its active features write.

    With `ignore_bos`, position 0 has no features and no error vectors (its activations are huge and say nothing about
    the prompt): what its MLPs write becomes a constant, so the logits stay the model's. Raises GraphError if what the
    active features write takes more than `max_memory` bytes.

    >>> local, writes = replace_mlps(model, model.language_model.tokens("calc: 36+59="))
    """
    transcoder, tuning = model.transcoder, tuning or tuning_for(model.language_model.device)
    run = model.language_model.frozen_run(tokens, transcoder.feature_input_hook, only_last_logits=True)
    explicit_map = model.language_model.explicit_map(run)
    first = int(ignore_bos)
    written = run.mlp_out
    if transcoder.W_skip is not None:
        written = written - torch.stack([transcoder.skip(layer, x) for layer, x in enumerate(run.mlp_input)])
    b_dec = torch.stack([b.to(written) for b in transcoder.b_dec])
    # What an MLP output owes to no node: the decoder's bias, and the whole output before the first position.
    constant = b_dec[:, None].repeat(1, run.n_positions, 1)
    constant[:, :first] = written[:, :first]
    silent = _propagate(model, run, explicit_map, torch.zeros_like(run.embedding), constant)
    features = find_active(transcoder, run, silent.inputs, first, tuning)
    writes = read_writes(transcoder, features, max_memory, tuning)
    error = written - constant - writes.total
    error[:, :first] = 0
    mlp_write = constant + writes.total + error
    return LocalReplacementModel(model, run, explicit_map, features, error, mlp_write, silent, first), writes


def _propagate(
    model: TranscodedModel, run: FrozenRun, explicit_map: FrozenMap | None, embedding: Tensor, mlp_write: Tensor
) -> Stream:
    """Send an embedding [p, d] and MLP writes [l, p, d] through the frozen model, with all its constants."""
    if explicit_map is None:
        forward = frozen_forward(model, run, embedding, mlp_write)
        return Stream(forward.inputs.detach(), forward.normed.detach())
    before = run.reads_before_attention(explicit_map)
    x = embedding + run.position_embedding
    inputs: list[Tensor] = []
    for layer in range(run.n_layers):
        mid = x + run.attend(explicit_map, layer, x)
        inputs.append(run.read(explicit_map, layer, x if before else mid, affine=True))
        x = mid + mlp_write[layer]
        if model.transcoder.W_skip is not None:
            x += model.transcoder.skip(layer, inputs[-1])
    return Stream(torch.stack(inputs), run.normed(explicit_map, x))
