"""All rows, or the most influential ones: which targets are computed when, and where their rows go.

Axes: n node, t target, s source, p (k) position, l layer, d model.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from ct_widgets.attribution.climb import Climb
from ct_widgets.attribution.local_replacement_model import LocalReplacementModel
from ct_widgets.attribution.nodes import Nodes
from ct_widgets.attribution.plan import Plan, blocks
from ct_widgets.attribution.row_store import RowStore
from ct_widgets.attribution.stacked_writes import StackedWrites
from ct_widgets.attribution.sweep import Rows, Targets, feature_targets, sweep
from ct_widgets.attribution.targets import LogitTargets
from ct_widgets.attribution.transport import Transport
from ct_widgets.attribution.workspace import Workspace

Ints = npt.NDArray[np.int64]


class RowComputer:
    """Computes rows for one prompt, once, and keeps them in `store`."""

    def __init__(self, local: LocalReplacementModel, asked: LogitTargets, nodes: Nodes, plan: Plan) -> None:
        self.local, self.asked, self.nodes, self.plan = local, asked, nodes, plan
        self.store = RowStore(nodes, plan.keep_on)
        self.has_logits = False
        self.workspace = Workspace(local.run.embedding)
        self.transports = [Transport.of_layer(local, layer, self.workspace) for layer in range(local.run.n_layers)]
        last_scale = local.run.scales["final"][-1:].expand(len(asked.text))
        self.logits = Targets(
            layer=torch.full((len(asked.text),), local.run.n_layers),
            position=torch.full((len(asked.text),), local.run.n_positions - 1),
            vector=local.frozen_map.ln_final.pull_back(asked.direction, last_scale),
        )
        self.climb: Climb | None = None
        self.stacked: StackedWrites | None = None
        if plan.at_once:
            self.stacked = StackedWrites.of(local)
            local.writes.forget(range(local.run.n_layers))

    def every_row(self) -> Iterator[Ints]:
        """Compute all rows, and free what is not read again on the way; yields the features that have theirs."""
        for climb, targets, numbers in self._climbing():
            self._keep(climb.read(targets), self.nodes.feature[numbers], numbers)
            yield numbers
        lowest = -1 if self.plan.cut is None else self.plan.cut
        self.local.writes.forget(range(lowest))
        self.sweep_logits()
        self.local.writes.forget(range(self.local.run.n_layers - 1, self.local.run.n_layers))
        yield from self.sweep_features(np.flatnonzero(self.local.features.layer.numpy() > lowest))

    def before_ranking(self) -> None:
        """Compute the rows that the first ranking of features needs: those of the logits."""
        for _ in self._climbing():
            pass
        self.sweep_logits()

    def _climbing(self) -> Iterator[tuple[Climb, Targets, Ints]]:
        """Climb to the plane, if there is one; yields the targets that can be read on the way."""
        if self.plan.cut is not None:
            self.climb = Climb(self.local, self.plan.cut, self.transports, self.workspace, self.logits)
            for targets, numbers in self.climb.targets():
                yield self.climb, targets, numbers

    def sweep_logits(self) -> None:
        """Compute the rows of the logits."""
        self._sweep(self.logits, self.nodes.logit, len(self.local.features) + np.arange(len(self.logits)))
        self.has_logits = True

    def sweep_features(self, chosen: Ints) -> Iterator[Ints]:
        """Compute the rows of the features numbered `chosen`; yields those of each block when it is done."""
        features, run = self.local.features, self.local.run
        chosen = np.sort(chosen)  # features are numbered by position
        layer, position = features.layer.numpy(), features.position.numpy()
        d, device = run.embedding.shape[-1], run.embedding.device
        lowest = layer[chosen] == 0  # they read embeddings alone, so they would only widen the blocks of others
        for group in (chosen[~lowest], chosen[lowest]):
            for part in reversed(blocks(position[group], d, device, self.plan.block)):
                block = group[part]
                block = block[np.argsort(-layer[block], kind="stable")]
                targets = feature_targets(self.local, torch.from_numpy(block))
                self._sweep(targets, self.nodes.feature[block], block)
                if self.climb:
                    self.climb.streams.forget(int(position[block].min()))
                yield block

    def _sweep(self, targets: Targets, node: Ints, numbers: Ints) -> None:
        streams = self.climb.streams if self.climb else None
        self._keep(sweep(self.local, streams, self.transports, targets, self.workspace, self.stacked), node, numbers)

    def _keep(self, rows: Rows, node: Ints, numbers: Ints) -> None:
        if self.climb:
            rows.embedding[:] = self.climb.embedding[numbers, : rows.embedding.shape[1]]
        self.store.add(rows, node)
