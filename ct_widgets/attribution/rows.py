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
        n_logits = len(asked.text)
        last_scale = local.run.scales["final"][-1:].expand(n_logits)
        self.logits = Targets(
            layer=torch.full((n_logits,), local.run.n_layers),
            position=torch.full((n_logits,), local.run.n_positions - 1),
            vector=local.frozen_map.final_norm.pull_back(asked.direction, last_scale),
        )
        # Targets are numbered like features, and logits behind them.
        self._node = np.concatenate([nodes.feature, nodes.logit])
        self._layer, self._position = (nodes.columns[name][self._node] for name in ("layer", "position"))
        self.climb: Climb | None = None
        self.stacked: StackedWrites | None = None
        if plan.at_once:
            self.stacked = StackedWrites.of(local)
            local.writes.forget(range(local.run.n_layers))

    @torch.inference_mode()  # thousands of small operations, each a little faster than with no_grad
    def every_row(self) -> Iterator[Ints]:
        """Compute all rows, and free what is not read again on the way; yields the features that have theirs."""
        for climb, targets, numbers in self._climbing():
            self._keep(climb.read(targets), numbers)
            yield numbers
        lowest = -1 if self.plan.cut is None else self.plan.cut
        self.local.writes.forget(range(lowest))
        yield from self._sweep(np.flatnonzero((self._layer > lowest) | (self._layer == 0)))

    @torch.inference_mode()
    def before_ranking(self) -> None:
        """Compute the rows that the first ranking of features needs: those of the logits."""
        for _ in self._climbing():
            pass
        for _ in self._sweep(np.flatnonzero(self._layer == self.local.run.n_layers)):
            pass

    def _climbing(self) -> Iterator[tuple[Climb, Targets, Ints]]:
        """Climb to the plane, if there is one; yields the targets that can be read on the way."""
        if self.plan.cut is not None:
            self.climb = Climb(self.local, self.plan.cut, self.transports, self.workspace, self.logits)
            for targets, numbers in self.climb.targets():
                yield self.climb, targets, numbers

    def sweep_features(self, chosen: Ints) -> Iterator[Ints]:
        """Compute the rows of the features numbered `chosen`; yields those of each block when it is done."""
        return self._sweep(np.sort(chosen))

    @torch.inference_mode()
    def _sweep(self, chosen: Ints) -> Iterator[Ints]:
        """The same for targets in rising order, logits included."""
        lowest = self._layer[chosen] == 0  # they read embeddings alone, so they would only widen the blocks of others
        yield from self._sweep_blocks(chosen[~lowest])
        if self.climb is None:
            yield from self._sweep_blocks(chosen[lowest])
        elif lowest.any():
            numbers = chosen[lowest]
            self.store.add(Rows.of_embeddings(self.climb.embedding[numbers]), self._node[numbers])
            yield numbers

    def _sweep_blocks(self, chosen: Ints) -> Iterator[Ints]:
        """Walk down with so many of them at once as the plan says, from the last position to the first."""
        run, d, n = self.local.run, self.logits.vector.shape[-1], len(self.local.features)
        streams = self.climb.streams if self.climb else None
        for part in reversed(blocks(self._position[chosen], d, run.embedding.device, self.plan.block)):
            block = chosen[part]
            block = block[np.argsort(-self._layer[block], kind="stable")]
            targets = self._targets(block)
            self._keep(sweep(self.local, streams, self.transports, targets, self.workspace, self.stacked), block)
            if n in block:  # the first of the logits, and the last to come
                self.has_logits = True
                self.local.writes.forget(range(run.n_layers - 1, run.n_layers))
            if streams:
                streams.forget(int(self._position[block].min()))
            yield block[block < n]

    def _targets(self, block: Ints) -> Targets:
        """Targets by their numbers, sorted by falling layer: logits come first."""
        n = len(self.local.features)
        n_logits = int((block >= n).sum())
        first = int(block[0]) - n
        parts = [self.logits[first : first + n_logits]] if n_logits else []
        if n_logits < len(block):
            parts.append(feature_targets(self.local, torch.from_numpy(block[n_logits:])))
        return Targets.cat(parts)

    def _keep(self, rows: Rows, numbers: Ints) -> None:
        if self.climb:
            rows.embedding[:] = self.climb.embedding[numbers, : rows.embedding.shape[1]]
        self.store.add(rows, self._node[numbers])
