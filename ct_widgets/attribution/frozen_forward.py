"""The model's own forward pass, frozen and differentiable: exact for any family, by autograd.

Attention patterns and norm denominators are replaced by the recorded ones and every MLP output by a leaf (plus the
live skip connection), which leaves a linear function of the leaves. Axes: l layer, p position, d model.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ct_widgets.language_model import NORMED, FrozenRun, hooked_pass
from ct_widgets.transcoded_model import TranscodedModel


@dataclass(frozen=True, eq=False)
class FrozenForward:
    """One differentiable pass of the frozen model.

    inputs: [l, p, d], what transcoders read, and normed: [p, d], what the unembedding reads, depend linearly on the
    leaves mlp_write: [l, p, d] and embedding: [p, d].
    """

    inputs: Tensor
    normed: Tensor
    mlp_write: Tensor
    embedding: Tensor


@torch.enable_grad()
def frozen_forward(model: TranscodedModel, run: FrozenRun, embedding: Tensor, mlp_write: Tensor) -> FrozenForward:
    """Run the model with everything frozen but the path from `embedding` [p, d] and `mlp_write` [l, p, d]."""
    embedding = embedding.detach().clone().requires_grad_()
    mlp_write = mlp_write.detach().clone().requires_grad_()
    with torch.enable_grad():
        done = hooked_pass(
            model.language_model,
            run.tokens[None],
            lambda layer, read, own: mlp_write[layer] + model.transcoder.skip(layer, read),
            input_hook=run.input_hook,
            patterns=run.pattern,
            scales=run.scales,
            embedding=embedding + run.position_embedding,
            keep=[NORMED],
            grad=True,
        )
        return FrozenForward(torch.cat(done.inputs), done.kept[NORMED][0], mlp_write, embedding)
