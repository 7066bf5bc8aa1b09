"""The same rows by autograd, one target at a time: the oracle of the sweep, and its stand-in for unknown families.

Axes: n node, t target, s source, p (k) position, l (m) layer, d model.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ct_widgets.attribution.frozen_forward import frozen_forward
from ct_widgets.attribution.local_replacement_model import LocalReplacementModel
from ct_widgets.attribution.nodes import Nodes
from ct_widgets.attribution.row_store import RowStore
from ct_widgets.attribution.sweep import Rows, Targets
from ct_widgets.attribution.targets import LogitTargets
from ct_widgets.attribution.workspace import Workspace

Ints = npt.NDArray[np.int64]


class AutogradRows:
    """Computes rows for one prompt by autograd and keeps them in `store`; slow, and exact for every family."""

    def __init__(self, local: LocalReplacementModel, asked: LogitTargets, nodes: Nodes) -> None:
        self.local, self.asked, self.nodes = local, asked, nodes
        self.store = RowStore(nodes)
        self._workspace = Workspace(local.run.embedding)
        self.has_logits = False
        self._forward = frozen_forward(local.model, local.transcoder, local.run, local.run.embedding, local.mlp_write)

    def every_row(self) -> Iterator[Ints]:
        """Compute all rows; yields the features that have theirs."""
        self.sweep_logits()
        yield from self.sweep_features(np.arange(len(self.local.features)))

    def before_ranking(self) -> None:
        """Compute the rows that the first ranking of features needs: those of the logits."""
        self.sweep_logits()

    def sweep_logits(self) -> None:
        """Compute the rows of the logits."""
        for node, direction in zip(self.nodes.logit, self.asked.direction, strict=True):
            with torch.enable_grad():
                value = self._forward.normed[-1] @ direction
            self._keep(int(node), value, self.local.run.n_positions - 1)
        self.has_logits = True

    def sweep_features(self, chosen: Ints) -> Iterator[Ints]:
        """Compute the rows of the features numbered `chosen`; yields each when it is done."""
        features = self.local.features
        for number in np.sort(chosen):
            layer, position = int(features.layer[number]), int(features.position[number])
            read = self.local.transcoder.encoder_vectors(layer, features.index[number : number + 1])[0]
            with torch.enable_grad():
                value = self._forward.inputs[layer, position] @ read
            self._keep(int(self.nodes.feature[number]), value, position)
            yield np.array([number])

    def _keep(self, node: int, value: Tensor, position: int) -> None:
        to_mlp, to_embedding = torch.autograd.grad(
            value, (self._forward.mlp_write, self._forward.embedding), retain_graph=True, materialize_grads=True
        )
        local, end = self.local, position + 1
        at_end = torch.tensor([position])
        rows = Rows.zeros(local, Targets(at_end, at_end, local.run.embedding[:1]), self._workspace)
        rows.embedding[0] = (local.run.embedding * to_embedding).sum(-1)[:end]
        for m in range(local.run.n_layers):
            for k in range(end):
                rows.feature[0, local.writes.columns(m, k)] += local.writes.at(m, k) @ to_mlp[m, k]
        rows.error[0] = (local.error * to_mlp).sum(-1)[:, :end]
        self.store.add(rows, np.array([node]))
