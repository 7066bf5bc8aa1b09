"""Blocks of targets and the rows of the graph that belong to them: what every way of computing rows takes and gives.

Axes: t target, s source, p position, l layer, d model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ct_widgets.attribution.local_replacement_model import LocalReplacementModel
from ct_widgets.attribution.nodes import Ints, lay_out
from ct_widgets.attribution.targets import LogitTargets

Memory = Callable[[int, int], Tensor]


class TargetBlock(NamedTuple):
    """Targets whose rows are computed together. layer, position: [t], on the CPU; vector: [t, d].

    `layer` is the number of layers for logits; `vector` is W_enc of a feature, or the direction of a logit.
    """

    layer: Tensor
    position: Tensor
    vector: Tensor


class Targets:
    """All targets of a prompt, numbered: features as in ActiveFeatures, logits behind them.

    layer, position: [t]; node: [t], their places in the graph, whose `nodes` they are among.
    """

    def __init__(self, local: LocalReplacementModel, logits: LogitTargets) -> None:
        features, n, run = local.features, len(logits.text), local.run
        self.local, self.logits, self.nodes = local, logits, lay_out(local, logits)
        self.n_features = len(features)
        self.node = np.concatenate([self.nodes.feature, self.nodes.logit])
        self.layer = torch.cat([features.layer, torch.full((n,), run.n_layers)]).numpy()
        self.position = torch.cat([features.position, torch.full((n,), run.n_positions - 1)]).numpy()
        self._index = torch.cat([features.index, torch.arange(n)])

    def block(self, chosen: Ints, *, at_stream: bool = False) -> TargetBlock:
        """Make a block of the targets numbered `chosen` [t], grouped by layer.

        Their vectors stand where targets read, behind a norm; `at_stream` pulls them back to the residual stream.
        """
        local, run, direction = self.local, self.local.run, self.logits.direction
        layer, position = torch.from_numpy(self.layer[chosen]), torch.from_numpy(self.position[chosen])
        vector = direction.new_empty(len(chosen), direction.shape[1])
        index, at = upload(torch.stack([self._index[chosen], position]), vector.device)
        layers, counts = layer.unique_consecutive(return_counts=True)
        parts = zip(layers.tolist(), *(x.split(counts.tolist()) for x in (index, at, vector)), strict=True)
        for one, index_part, at_part, vector_part in parts:
            if one == run.n_layers:
                g = direction[index_part]
                g = local.frozen_map.final_norm.pull_back(g, run.scales["final"][at_part]) if at_stream else g
            else:
                g = local.model.transcoder.encoder_vectors(one, index_part)
                g = run.pull_back_read(local.frozen_map, one, g, at_part) if at_stream else g
            vector_part[:] = g
        return TargetBlock(layer, position, vector)


@dataclass(frozen=True, eq=False)
class Rows:
    """Edges into a block of targets, up to the position of the last of them.

    dense: [t, source], where embeddings [p] come first, then features, numbered as in ActiveFeatures, then errors
    [p, l]; the other fields are views of it. embedding: [t, p]; feature: [t, s]; error: [t, l, p].
    """

    dense: Tensor
    embedding: Tensor
    feature: Tensor
    error: Tensor

    @classmethod
    def zeros(cls, local: LocalReplacementModel, n: int, end: int, memory: Memory | None = None) -> Rows:
        """Make `n` rows of zeros up to position `end`, in new memory or in what `memory` gives for a shape."""
        sizes = (end, local.features.starts[end][0], end * local.run.n_layers)
        dense = (memory or local.run.embedding.new_empty)(n, sum(sizes)).zero_()
        embedding, feature, error = dense.split(sizes, dim=1)
        return cls(dense, embedding, feature, error.unflatten(1, (end, -1)).transpose(1, 2))


def upload(values: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor of the CPU to `device`; neither the caller nor a GPU that is still at work waits for it."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)
