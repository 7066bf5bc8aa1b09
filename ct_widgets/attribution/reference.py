"""Rows by automatic differentiation: exact for every family, and slow.

It is an oracle of `sweep.py` and `fast/`, and stands in for them where the frozen linear map of a family is not known.
Axes: t target, s source, p position, l (m) layer, d model.
"""

from __future__ import annotations

import numpy as np
import torch

from ct_widgets.attribution.active_features import FeatureWrites
from ct_widgets.attribution.frozen_forward import frozen_forward
from ct_widgets.attribution.memory_plan import MemoryPlan
from ct_widgets.attribution.nodes import Ints
from ct_widgets.attribution.row_computer import RowComputer
from ct_widgets.attribution.rows import Rows, Targets


class AutogradRows(RowComputer):
    """Computes rows one target at a time, by the gradient of what it reads in one frozen forward pass."""

    def __init__(self, targets: Targets, writes: FeatureWrites) -> None:
        super().__init__(targets, MemoryPlan(None, 1))
        self._writes, local = writes, targets.local
        self._forward = frozen_forward(local.model, local.run, local.run.embedding, local.mlp_write)

    def _rows_of(self, numbers: Ints) -> Rows:
        local, forward = self._local, self._forward
        targets = self._targets.block(numbers)
        layer, position = int(targets.layer), int(targets.position)
        with torch.enable_grad():
            read = forward.normed if layer == local.run.n_layers else forward.inputs[layer]
            value = read[position] @ targets.vector[0]
        leaves = (forward.mlp_write, forward.embedding)
        to_mlp, to_embedding = torch.autograd.grad(value, leaves, retain_graph=True, materialize_grads=True)
        end = position + 1
        rows = Rows.zeros(local, 1, end)
        rows.embedding[0] = (local.run.embedding * to_embedding).sum(-1)[:end]
        rows.error[0] = (local.error * to_mlp).sum(-1)[:, :end]
        for m, p in np.ndindex(local.run.n_layers, end):
            rows.feature[0, self._writes.columns(m, p)] += self._writes.at(m, p) @ to_mlp[m, p]
        return rows
